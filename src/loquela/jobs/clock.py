"""What time it is, so that tests may say."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970, UTC, where nothing else is said."""

    def now(self) -> float:
        """The time."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """The time."""
        return time.time()


class MonotonicClock:
    """Seconds since some moment; setting the machine's clock does not change it."""

    def now(self) -> float:
        """The time."""
        return time.monotonic()


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        """The time."""
        return self.at

    def advance(self, seconds: float) -> None:
        """Move the clock, backwards too."""
        self.at += seconds
