"""Files that are read again while the service runs: when they change, or on SIGHUP."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError

LOOK_EVERY_SECONDS = 1.0


class WatchedFiles:
    """A thread that takes files anew when one of them changes, or when it is asked to.

    `take` reads them and puts in force what they say; the RecipeError that it raises goes to `refuse`, once for each
    message, and it is tried again at every look: what is missing may lie elsewhere.
    """

    def __init__(
        self,
        name: str,
        files: Callable[[], Sequence[Path]],
        take: Callable[[], object],
        refuse: Callable[[RecipeError], None],
    ) -> None:
        self._files, self._take, self._refuse = files, take, refuse
        self._places: dict[Path, Path] = {}
        self._refused: str | None = None
        for file in files():
            self._place(file)
        self._seen = self._marks()
        self._stop, self._asked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Read them at the next look, changed or not; safe in a signal handler."""
        self._asked.set()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._asked.set()
        self._thread.join(timeout=15)

    def reload(self) -> None:
        """Read the files and take what may be taken; what is wrong with them is written down."""
        try:
            try:
                for file in self._files():
                    _check_trusted(file, self._place(file))
                self._take()
                self._refused = None
            except RecipeError as error:
                if error.message != self._refused:
                    self._refuse(error)
                self._refused = error.message
        except LoquelaError:
            # The database is away, and nothing was changed without an entry: looked at again.
            self._seen = {}

    def _run(self) -> None:
        while not self._stop.is_set():
            asked = self._asked.wait(LOOK_EVERY_SECONDS)
            self._asked.clear()
            marks = self._marks()
            if asked or marks != self._seen or self._refused is not None:
                self._seen = marks
                self.reload()

    def _marks(self) -> dict[Path, tuple[int, ...]]:
        return {file: _mark(file) for file in self._files()}

    def _place(self, file: Path) -> Path:
        """Where a file lay when it was first named. A link that later leads elsewhere is another file."""
        return self._places.setdefault(file, file.resolve())


def _mark(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)


def _check_trusted(file: Path, place: Path) -> None:
    """Refuse a file that others may write, or a link that was turned to another one."""
    if not file.exists():
        return
    if file.resolve() != place:
        raise _refused(f"{file.name} is a link that leads elsewhere than when the service started")
    found = os.stat(place)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _refused(f"others may write {file.name}: chmod go-w it")


def _refused(why: str) -> RecipeError:
    return RecipeError(ErrorCode.CONFIG_INVALID, why, "mend it, or start the service again; what was in force stays")
