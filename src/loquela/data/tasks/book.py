"""What the processes of one round of tasks tell each other, in one folder.

    tasks.json         what is to be done
    claim-<n>.lock     held (flock) by the process that performs task n; counts how often it was begun
    error-<n>.json     why task n failed: everybody stops
    stop               an empty file: end after what is being done

The kernel releases the claim of a process that dies, so that its task is taken up by another and nothing else is
lost. The folder must lie on a file system that all processes see.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from loquela.core.atomic import write_error, write_text
from loquela.core.carried_error import CarriedError
from loquela.core.errors import ErrorCode, LoquelaError, ResourceError
from loquela.core.model import BoundaryModel
from loquela.data.tasks.task import Task

# A task that has ended its process so often will do so again: out of memory, or a crash in a library.
MOST_ATTEMPTS = 3


class TaskList(BoundaryModel):
    """The tasks of one round, in order; `parent` is the process id whose end ends local workers, if any."""

    tasks: list[Task] = Field(default_factory=list)
    parent: int | None = None


class TaskBook:
    """The folder of a round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, tasks: TaskList) -> None:
        """Begin a round: a new list, no claims, no errors."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in self.folder.glob("*"):
                if old.name == "stop" or old.suffix in (".lock", ".json"):
                    old.unlink()
        except OSError as error:
            raise write_error(error, self.folder) from error
        write_text(self.folder / "tasks.json", tasks.model_dump_json())

    def read(self) -> TaskList:
        """The list of this round."""
        return TaskList.model_validate_json((self.folder / "tasks.json").read_bytes())

    @contextmanager
    def claim(self, number: int, task: Task) -> Iterator[bool]:
        """Yield whether this process may perform the task now; ResourceError(WORKER_CRASH) after too many tries."""
        descriptor = os.open(self.folder / f"claim-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            if task.done() is not None:
                yield False
                return
            attempts = int(os.pread(descriptor, 20, 0) or b"0")
            if attempts >= MOST_ATTEMPTS:
                raise _crashes(task, attempts)
            os.pwrite(descriptor, str(attempts + 1).encode(), 0)
            yield True
        finally:
            os.close(descriptor)

    def fail(self, number: int, error: LoquelaError) -> None:
        """Leave the reason for everybody."""
        write_text(self.folder / f"error-{number}.json", CarriedError.of(error).model_dump_json())

    def failure(self) -> LoquelaError | None:
        """The first failed task's error."""
        for path in sorted(self.folder.glob("error-*.json"), key=lambda path: int(path.stem.partition("-")[2])):
            return CarriedError.model_validate(json.loads(path.read_bytes())).error()
        return None

    def stop(self) -> None:
        """Ask every process to end."""
        (self.folder / "stop").touch()

    def stopped(self) -> bool:
        """Whether somebody asked, or a task failed."""
        return (self.folder / "stop").exists() or self.failure() is not None


def _crashes(task: Task, attempts: int) -> ResourceError:
    return ResourceError(
        ErrorCode.WORKER_CRASH,
        f"{task.name} ended its process {attempts} times: out of memory, killed, or a crash inside a library",
        "look at the log of the system for the cause, set compute.data_workers: 1, or remove that part of the data",
        details={"task": task.name, "attempts": attempts},
    )
