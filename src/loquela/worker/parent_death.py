"""A job's process does not outlive its supervisor: it is told when the supervisor dies, and watches for it too."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

PR_SET_PDEATHSIG = 1
LOOK_EVERY_SECONDS = 0.5


def die_with(parent: int, grace_seconds: float) -> None:
    """Arrange for SIGTERM (save and stop) when process `parent` is gone, and for the end `grace_seconds` later.

    Linux tells the process itself; elsewhere, and when the parent was gone before, the watching thread does.
    """
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # not Linux: the thread below is enough, half a second later
    threading.Thread(target=_watch, args=(parent, grace_seconds), name="parent-watch", daemon=True).start()


def _watch(parent: int, grace_seconds: float) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os.kill(os.getpid(), signal.SIGKILL)
