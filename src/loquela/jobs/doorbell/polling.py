"""The bell of one machine: who waits looks again soon, and in the ringing process at once."""

from __future__ import annotations

import threading

LOOK_AGAIN_SECONDS = 0.25


class PollingDoorbell:
    """Needs no server."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self, job_id: str, fence: int) -> None:
        """Wake a waiting thread of this process."""
        self._rung.set()

    def wait(self, timeout_seconds: float) -> None:
        """At most a quarter of a second: other processes cannot be heard."""
        self._rung.wait(min(timeout_seconds, LOOK_AGAIN_SECONDS))
        self._rung.clear()

    def wake(self) -> None:
        """End a wait."""
        self._rung.set()

    def close(self) -> None:
        """Nothing is held."""
