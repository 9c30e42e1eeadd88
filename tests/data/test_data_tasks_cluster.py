"""The same tasks on Slurm (its commands, run on this machine) and on a real Ray cluster of this machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import fake_slurm
import pytest

from loquela.artifacts.context import StopRequest
from loquela.core.errors import DataError, Interrupted, ResourceError
from loquela.data.tasks.run import run_tasks
from loquela.data.tasks.task import Task
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import ComputeSection
from waiting import until

pytest.importorskip("datatrove", reason="the extra [scale] is not installed")
HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", HERE)
    monkeypatch.setattr("loquela.data.tasks.executors.slurm.POLL_SECONDS", 0.1)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cluster"
    monkeypatch.setenv("PATH", f"{fake_slurm.install(folder)}:{os.environ['PATH']}")
    return folder


def tasks_in(folder: Path, function: str = "square", count: int = 3) -> list[Task]:
    return [
        Task(
            name=f"square {number}",
            entry=f"task_functions:{function}",
            arguments={"number": number, "log": str(folder / f"log-{number}")},
            place=folder / "out" / str(number),
        )
        for number in range(count)
    ]


def run(folder: Path, tasks: list[Task], section: ComputeSection, stop: StopRequest | None = None) -> list[object]:
    found = run_tasks(tasks, folder / "round", section, SilentBus(), stop or StopRequest())
    return [manifest.facts["square"] for manifest in found.values()]


SLURM = ComputeSection.model_validate({"data": "slurm", "data_workers": 2, "slurm": {"partition": "cpu"}})


def test_slurm_does_every_task_once(tmp_path: Path, cluster: Path) -> None:
    tasks = tasks_in(tmp_path)
    assert run(tmp_path, tasks, SLURM) == [0, 1, 4]
    script = (cluster / "1.sh").read_text()
    for line in ("--partition=cpu", "--array=0-2%2", "--time=04:00:00", "--cpus-per-task=1", "--mem-per-cpu=2G"):
        assert f"#SBATCH {line}\n" in script
    assert run(tmp_path, tasks, SLURM) == [0, 1, 4]
    assert not (cluster / "3.sh").exists()
    assert all(len((tmp_path / f"log-{n}").read_text().splitlines()) == 1 for n in range(3))


def test_slurm_brings_the_error_home(tmp_path: Path, cluster: Path) -> None:
    tasks = [*tasks_in(tmp_path, count=2), *tasks_in(tmp_path, "refuse")[2:]]
    with pytest.raises(DataError, match="part 3 of the made-up data is damaged"):
        run(tmp_path, tasks, SLURM)


def test_slurm_job_is_cancelled_on_request(tmp_path: Path, cluster: Path) -> None:
    stop = StopRequest()

    def ask() -> None:
        until((tmp_path / "log-0").exists)
        stop.request("a test")

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(Interrupted, match="stopped while preparing data"):
        run(tmp_path, tasks_in(tmp_path, "until_stopped", 1), SLURM, stop)
    asking.join()
    assert fake_slurm.squeue(cluster, ["1"]) == 1


def test_slurm_that_refuses(tmp_path: Path, cluster: Path) -> None:
    (cluster / "refuse").touch()
    with pytest.raises(ResourceError, match=r"sbatch refused the job for partition cpu \(exit 1\)"):
        run(tmp_path, tasks_in(tmp_path), SLURM)


def test_slurm_without_partition_or_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceError, match="compute.data is slurm, but no partition is named"):
        run(tmp_path, tasks_in(tmp_path), ComputeSection(data="slurm"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResourceError, match="there is no sbatch command here"):
        run(tmp_path, tasks_in(tmp_path), SLURM)


@pytest.mark.slow
def test_ray_makes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    digests = []
    for place in ("local", "ray"):
        folder = tmp_path / place
        tasks = [task.model_copy(update={"place": folder / task.name}) for task in tasks_in(tmp_path)]
        section = ComputeSection(data=place, data_workers=2)
        found = run_tasks(tasks, folder / "round", section, SilentBus(), StopRequest())
        digests.append([manifest.digest for manifest in found.values()])
    assert digests[0] == digests[1]


def test_ray_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ResourceError, match="no Ray cluster at 127.0.0.1:1"):
        run(tmp_path, tasks_in(tmp_path), ComputeSection(data="ray", data_workers=2))
