"""Performs a list of tasks where the recipe says: in this process, in several, on Slurm or on Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.context import StopRequest
from loquela.artifacts.manifest import Manifest
from loquela.compute.threads import usable_cores
from loquela.core.errors import ErrorCode, Interrupted, ResourceError
from loquela.core.registry import Registry
from loquela.data.tasks.book import TaskBook, TaskList
from loquela.data.tasks.task import Task
from loquela.monitoring.events import Bus
from loquela.recipe.schema import ComputeSection


@dataclass(frozen=True)
class Round:
    """What an executor is given: `book` holds the tasks that are not done, `folder` is theirs for logs."""

    tasks: list[Task]
    book: TaskBook
    section: ComputeSection
    stop: StopRequest
    progress: Callable[[], None]


# Returns when no process works on the round any more; the caller looks at what is done.
Executor = Callable[[Round], None]


def _path(name: str) -> str:
    return f"loquela.data.tasks.executors.{name}:executor"


EXECUTORS: Registry[Executor] = Registry("place to prepare data", "loquela.data_executors")
for _name in ("local", "slurm", "ray"):
    EXECUTORS.register(_name, _path(_name))


def run_tasks(
    tasks: list[Task], folder: Path, section: ComputeSection, bus: Bus, stop: StopRequest
) -> dict[str, Manifest]:
    """Perform what is not done yet and return the manifest of every task by its name, in order.

    `folder` keeps the claims and logs of the round. Every finished folder is proved by its digests, before and after.
    Raises the first failed task's error, Interrupted on request (done tasks are kept), ResourceError(WORKER_CRASH)
    for tasks that nobody finished.
    """
    found = {task.name: task.proven() for task in tasks}
    waiting = [task for task in tasks if found[task.name] is None]

    def progress() -> None:
        done = len(tasks) - sum(task.done() is None for task in waiting)
        bus.publish("data.tasks_progress.v1", {"done": done, "total": len(tasks)})

    progress()
    if waiting and section.data == "local" and workers(section, waiting) == 1:
        _perform_here(waiting, stop, progress)
    elif waiting:
        book = TaskBook(folder)
        book.write(TaskList(tasks=waiting))
        EXECUTORS.get(section.data)(Round(waiting, book, section, stop, progress))
        _raise_failure(book, stop)
    found.update({task.name: task.proven() for task in waiting})
    return _all(found, folder)


def workers(section: ComputeSection, tasks: list[Task]) -> int:
    """How many processes: the recipe's number, else one for each core, but never more than there are tasks."""
    return min(section.data_workers or usable_cores(), len(tasks))


def _perform_here(tasks: list[Task], stop: StopRequest, progress: Callable[[], None]) -> None:
    def between() -> None:
        if stop.requested:
            raise interrupted(stop)

    for task in tasks:
        between()
        task.perform(between)
        progress()


def interrupted(stop: StopRequest) -> Interrupted:
    """What a requested stop is raised as."""
    return Interrupted(
        ErrorCode.INTERRUPTED,
        f"stopped while preparing data ({stop.reason}); downloads, finished tasks and finished stages are kept",
        "go on with the same command and --resume auto",
    )


def _raise_failure(book: TaskBook, stop: StopRequest) -> None:
    failure = book.failure()
    if failure is not None:
        raise failure
    if stop.requested:
        raise interrupted(stop)


def _all(found: dict[str, Manifest | None], folder: Path) -> dict[str, Manifest]:
    unfinished = [name for name, manifest in found.items() if manifest is None]
    if unfinished:
        raise ResourceError(
            ErrorCode.WORKER_CRASH,
            f"{len(unfinished)} of {len(found)} tasks were not finished, the first: {unfinished[0]}",
            f"run the same command again: finished tasks are kept; the logs are in {folder}",
            retryable=True,
            details={"unfinished": [*unfinished[:20]]},
        )
    return {name: manifest for name, manifest in found.items() if manifest is not None}
