"""One task as one rank of a datatrove pipeline: what its Slurm and Ray executors run on another machine.

datatrove marks a finished rank with an empty file, whatever the rank was given to do; here a rank is finished when
its task's folder proves it, so datatrove's own marks are never consulted (`skip_completed` is off).
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Protocol

from loquela.core.extras import require
from loquela.data.tasks.book import TaskBook
from loquela.data.tasks.worker import Asked, attempt


class TaskRank:
    """A pipeline step: rank r performs task r of the book in `folder`, which every machine must see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, data: None, rank: int, world_size: int) -> None:
        """Perform it; the error of a task that failed is left in the book and ends the rank."""
        book = TaskBook(self.folder)
        attempt(book, rank, book.read().tasks[rank], Asked(book))


def datatrove_executors(*, extra: str, purpose: str) -> ModuleType:
    """The module `datatrove.executor`, told to be silent here: progress is told by events, errors by the book."""
    module = require("datatrove.executor", extra=extra, purpose=purpose)
    logger: _Logger = require("loguru", extra=extra, purpose=purpose).logger
    logger.disable("datatrove")
    return module


class _Logger(Protocol):
    def disable(self, name: str) -> None: ...
