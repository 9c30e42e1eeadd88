"""A process that performs the tasks of a round until none is left: `python -m loquela.data.tasks.worker FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from loquela.core.errors import ErrorCode, InternalError, Interrupted, LoquelaError
from loquela.data.tasks.book import TaskBook
from loquela.data.tasks.task import Task

WATCH_SECONDS = 0.2


class Asked:
    """Whether this process was asked to end."""

    def __init__(self, book: TaskBook) -> None:
        self.book = book
        self.by_signal = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """End at the next step of the running task."""
        self.by_signal = True

    def check(self) -> None:
        """Interrupted when it was; what the running task has written is thrown away."""
        if self.by_signal or self.book.stopped():
            raise Interrupted(ErrorCode.INTERRUPTED, "asked to stop", "run the same command again: done tasks are kept")


def work(folder: Path, asked: Asked | None = None) -> int:
    """Perform what nobody else performs until all is done; 0, or 1 when a task failed here or elsewhere."""
    book = TaskBook(folder)
    asked = asked or Asked(book)
    pending = list(enumerate(book.read().tasks))
    while pending:
        left = [(number, task) for number, task in pending if not attempt(book, number, task, asked)]
        if asked.by_signal or book.stopped():
            return 1 if book.failure() else 0
        pending = left
        if pending:
            time.sleep(WATCH_SECONDS)
    return 0


def attempt(book: TaskBook, number: int, task: Task, asked: Asked) -> bool:
    """Perform task `number` unless it is done or claimed; whether it is done now (False: for another look)."""
    if task.done() is not None:
        return True
    if asked.by_signal or book.stopped():
        return False
    try:
        with book.claim(number, task) as mine:
            if mine:
                task.perform(asked.check)
    except Interrupted:
        return False
    except LoquelaError as error:
        book.fail(number, error)
        return False
    except Exception as error:  # the process that asked must hear of it, whatever it is
        traceback.print_exc()
        book.fail(number, _bug(task, error))
        return False
    return task.done() is not None


def _bug(task: Task, error: Exception) -> InternalError:
    return InternalError(
        ErrorCode.INTERNAL,
        f"{task.name} failed with {type(error).__name__}: {error}",
        "report this as a bug, with the worker's log; done tasks are kept",
    )


def main(arguments: list[str]) -> int:
    """The whole life of a local worker; it dies with the process that started it."""
    book = TaskBook(Path(arguments[0]))
    asked = Asked(book)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked.on_signal)
    parent = book.read().parent
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    return work(book.folder, asked)


def _watch(parent: int) -> None:
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(WATCH_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
