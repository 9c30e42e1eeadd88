"""Locks between the processes that share a data folder; the kernel lets go of them when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loquela.core.atomic import write_error

# Who stores and cleans up by itself; held for as long as that process lives.
KEEPER = "keeper.lock"
# Held by everybody who stores a run, alone by who removes tarballs that nothing names.
STORING = "storing.lock"


class Turn:
    """One lock of a data folder."""

    def __init__(self, data: Path, name: str) -> None:
        self._path = data / name
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether it is ours now, or was before. Errors as `write_error`."""
        if self._descriptor is not None:
            return True
        descriptor = _opened(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def leave(self) -> None:
        """Let another one have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def beside_others(data: Path, name: str) -> Iterator[None]:
    """Hold a lock together with everybody else who asks for it so, waiting for whoever has it alone."""
    descriptor = _opened(data / name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(data: Path, name: str) -> Iterator[bool]:
    """Whether the lock could be had alone, at once; then it is held."""
    turn = Turn(data, name)
    try:
        yield turn.take()
    finally:
        turn.leave()


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise write_error(error, path) from error
