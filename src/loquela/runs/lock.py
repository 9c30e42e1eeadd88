"""At most one process works on a run: an advisory lock on `run.lock`, released by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from loquela.core.atomic import write_error
from loquela.core.errors import ErrorCode, ResourceError

LOCK_NAME = "run.lock"
# `is_locked` holds it for a moment too.
LOOKED_AT_SECONDS, LOOK_AGAIN_SECONDS = 0.25, 0.01


class RunLock:
    """`with RunLock(run_directory): …`; ResourceError(RUN_LOCKED) names the process that holds it."""

    def __init__(self, run_directory: Path) -> None:
        self.path = run_directory / LOCK_NAME
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise write_error(error, self.path) from error
        try:
            _take(descriptor)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise ResourceError(
                ErrorCode.RUN_LOCKED,
                f"another process works on {self.path.parent}: {holder or 'it has not written its name yet'}",
                "wait for it or stop it; to watch it: loquela runs watch " + self.path.parent.name,
                retryable=True,
                details={"path": str(self.path), "holder": holder},
            ) from error
        note = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode("utf-8"), 0)
        except OSError as error:
            os.close(descriptor)
            raise write_error(error, self.path) from error
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(run_directory: Path) -> bool:
    """Whether some process holds the run now; false when it has no lock file."""
    try:
        descriptor = os.open(run_directory / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared: two that look at once do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> None:
    """The lock; BlockingIOError where somebody has it for longer than a look at it takes."""
    until = time.monotonic() + LOOKED_AT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(LOOK_AGAIN_SECONDS)
