"""`pointer.json`: where the tarball of a run lies, and whether the run's heavy folders are there only."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from loquela.artifacts.manifest import corrupt
from loquela.artifacts.store.places import StorePlace
from loquela.core.atomic import write_error, write_text
from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.model import BoundaryModel
from loquela.core.plain_files import read_plain

POINTER_NAME = "pointer.json"
HANDS_NAME = "pointer.lock"
LOOK_EVERY_SECONDS = 0.2


class Pointer(BoundaryModel):
    """The tarball of a run: `file_id` is its SHA-256. `stored_at` is in seconds since 1970, UTC."""

    format_version: int = 1
    run_id: str
    file_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int
    files: int
    store: StorePlace
    stored_at: float
    left_out: list[str] = Field([], description="links and devices, which were not packed")
    cleaned: bool = Field(False, description="whether the run's heavy folders are in the store only")


def read_pointer(run_directory: Path) -> Pointer | None:
    """The run's pointer; None where it was never stored. DataError(CORRUPTION) when it cannot be read."""
    try:
        return Pointer.model_validate_json(read_plain(run_directory / POINTER_NAME))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        raise corrupt(run_directory, f"{POINTER_NAME} cannot be read") from error


def write_pointer(run_directory: Path, pointer: Pointer) -> None:
    """Write it, whole or not at all."""
    write_text(run_directory / POINTER_NAME, pointer.model_dump_json(indent=1) + "\n")


@contextmanager
def hands_on(run_directory: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Only one process at a time packs, cleans or brings back a run; the kernel lets go of it when that process dies.

    ResourceError(RUN_LOCKED) when another one does for longer than `wait_seconds`.
    """
    path = run_directory / HANDS_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise write_error(error, path) from error
    try:
        until = time.monotonic() + wait_seconds
        while not _taken(descriptor):
            if time.monotonic() >= until:
                raise ResourceError(
                    ErrorCode.RUN_LOCKED,
                    f"the folder of {run_directory.name} is just being stored, cleaned or brought back",
                    "ask again in a moment",
                    retryable=True,
                )
            time.sleep(LOOK_EVERY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def mark_used(run_directory: Path) -> None:
    """Remember that somebody needs the run's folders now, so that they are not removed meanwhile."""
    (run_directory / HANDS_NAME).touch()


def last_used(run_directory: Path) -> float:
    """When somebody last needed them, in seconds since 1970; 0 for never."""
    try:
        return (run_directory / HANDS_NAME).stat().st_mtime
    except OSError:
        return 0.0


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
