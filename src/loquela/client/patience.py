"""How long a stream that breaks is opened again, and how often something queued is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator

from loquela.core.errors import LoquelaError

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
FIRST_LOOK_SECONDS = 0.05
LONGEST_LOOK_SECONDS = 1.0


def looks() -> Iterator[float]:
    """Pauses between looks at something that is queued: short ones first."""
    pause = FIRST_LOOK_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)


class Patience:
    """Ends when nothing has come for `seconds`; every success begins it anew."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def succeeded(self) -> None:
        """Something came."""
        self._failing_since = None
        self._pause = FIRST_PAUSE_SECONDS

    def pause_after(self, error: LoquelaError) -> float:
        """Seconds to wait before the next try; raises `error` when it can no longer help."""
        now = time.monotonic()
        self._failing_since = self._failing_since if self._failing_since is not None else now
        if not error.retryable or now - self._failing_since >= self._seconds:
            raise error
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return pause
