"""Tasks: done once, whoever does them; a process that dies costs its own task only."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from loquela.artifacts.context import StopRequest
from loquela.core.errors import DataError, ErrorCode, InternalError, Interrupted, ResourceError
from loquela.data.tasks.book import TaskBook, TaskList
from loquela.data.tasks.run import run_tasks
from loquela.data.tasks.task import Task
from loquela.data.tasks.worker import Asked, work
from loquela.monitoring.events import Event, EventBus
from loquela.recipe.schema import ComputeSection

FUNCTIONS = "task_functions"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", here)


def squares(folder: Path, count: int, function: str = "square", **more: object) -> list[Task]:
    return [
        Task(
            name=f"square {number}",
            entry=f"{FUNCTIONS}:{function}",
            arguments={"number": number, "log": str(folder / f"log-{number}"), **more},
            place=folder / "out" / str(number),
        )
        for number in range(count)
    ]


def run(folder: Path, tasks: list[Task], workers: int, stop: StopRequest | None = None) -> dict[str, object]:
    bus = EventBus()
    heard: list[Event] = []
    bus.subscribe(heard.append)
    section = ComputeSection(data_workers=workers)
    found = run_tasks(tasks, folder / "round", section, bus, stop or StopRequest())
    assert heard[-1].data == {"done": len(tasks), "total": len(tasks)}
    return {name: manifest.facts["square"] for name, manifest in found.items()}


def times_done(folder: Path) -> list[int]:
    return [len(path.read_text().splitlines()) for path in sorted(folder.glob("log-*"))]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_and_never_again(tmp_path: Path, workers: int) -> None:
    tasks = squares(tmp_path, 5)
    expected = {f"square {n}": n * n for n in range(5)}
    assert run(tmp_path, tasks, workers) == expected
    assert run(tmp_path, tasks, workers) == expected
    assert times_done(tmp_path) == [1] * 5


def test_one_and_two_workers_make_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        tasks = [task.model_copy(update={"place": folder / task.name}) for task in squares(tmp_path, 4)]
        section = ComputeSection(data_workers=workers)
        found = run_tasks(tasks, folder / "round", section, EventBus(), StopRequest())
        digests.append([manifest.digest for manifest in found.values()])
    assert digests[0] == digests[1]


def test_other_arguments_inputs_or_versions_are_other_work(tmp_path: Path) -> None:
    task = squares(tmp_path, 3)[2]
    run(tmp_path, [task], 1)
    for change in ({"version": 2}, {"inputs": {"file": "abc"}}, {"arguments": {**task.arguments, "seconds": 0.0}}):
        changed = task.model_copy(update=change)
        assert changed.done() is None
        run(tmp_path, [changed], 1)
        assert changed.done() is not None
    assert times_done(tmp_path) == [4]


def test_a_damaged_result_is_made_again(tmp_path: Path) -> None:
    tasks = squares(tmp_path, 2)
    run(tmp_path, tasks, 1)
    (tasks[1].place / "square.txt").write_text("7")
    assert run(tmp_path, tasks, 1)["square 1"] == 1
    assert (tasks[1].place / "square.txt").read_text() == "1"
    assert times_done(tmp_path) == [1, 2]


def test_a_killed_worker_costs_its_own_task_only(tmp_path: Path) -> None:
    tasks = squares(tmp_path, 6)
    tasks[2] = squares(tmp_path, 3, "die_once")[2]
    assert run(tmp_path, tasks, 2) == {f"square {n}": n * n for n in range(6)}
    assert times_done(tmp_path) == [1, 1, 2, 1, 1, 1]


def test_a_task_that_always_kills_its_worker_is_named(tmp_path: Path) -> None:
    tasks = squares(tmp_path, 3)
    tasks[1] = squares(tmp_path, 2, "die_once", deaths=99)[1]
    with pytest.raises(ResourceError, match="square 1 ended its process 3 times: out of memory, killed") as caught:
        run(tmp_path, tasks, 2)
    assert caught.value.code is ErrorCode.WORKER_CRASH
    assert times_done(tmp_path)[1] == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised_as_it_was(tmp_path: Path, workers: int) -> None:
    tasks = [*squares(tmp_path, 2), *squares(tmp_path, 3, "refuse")[2:]]
    with pytest.raises(DataError, match="part 3 of the made-up data is damaged") as caught:
        run(tmp_path, tasks, workers)
    assert (caught.value.code, caught.value.remedy, caught.value.details) == (
        "CORRUPT_DATA",
        "mend part 3",
        {"part": 3},
    )


def test_a_bug_in_a_worker_is_reported_as_one(tmp_path: Path) -> None:
    tasks = squares(tmp_path, 2, "stumble")
    with pytest.raises(InternalError, match="square 0 failed with ZeroDivisionError: integer"):
        run(tmp_path, tasks, 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_keeps_what_is_done(tmp_path: Path, workers: int) -> None:
    tasks = [*squares(tmp_path, 1), *squares(tmp_path, 3, "until_stopped")[1:]]
    stop = StopRequest()

    def ask() -> None:
        while not (tmp_path / "log-1").exists() or tasks[0].done() is None:
            time.sleep(0.02)
        stop.request("a test")

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(Interrupted, match=r"stopped while preparing data \(a test\); downloads, finished tasks"):
        run(tmp_path, tasks, workers, stop)
    asking.join()
    assert tasks[0].done() is not None
    assert tasks[1].done() is None


def test_what_nobody_finished_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loquela.data.tasks.executors.local.run", lambda round_: None)
    with pytest.raises(ResourceError, match="2 of 2 tasks were not finished, the first: square 0") as caught:
        run(tmp_path, squares(tmp_path, 2), 2)
    assert caught.value.retryable


def test_a_worker_that_is_asked_ends_at_its_next_step(tmp_path: Path) -> None:
    book = TaskBook(tmp_path / "round")
    book.write(TaskList(tasks=squares(tmp_path, 1)))
    asked = Asked(book)
    asked.check()
    book.stop()
    with pytest.raises(Interrupted, match="asked to stop"):
        asked.check()
    assert work(book.folder, asked) == 0
    assert not (tmp_path / "log-0").exists()


def test_two_processes_never_hold_one_claim(tmp_path: Path) -> None:
    tasks = squares(tmp_path, 1)
    book = TaskBook(tmp_path / "round")
    book.write(TaskList(tasks=tasks))
    with book.claim(0, tasks[0]) as mine, book.claim(0, tasks[0]) as theirs:
        assert (mine, theirs) == (True, False)
    with book.claim(0, tasks[0]) as again:
        assert again
