"""How often one owner is written to: a bucket of permissions that fills again as time goes by."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """At most `per_minute` in any minute on average, a third of that at once."""

    def __init__(self, per_minute: int, now: Callable[[], float]) -> None:
        self._per_second = per_minute / 60.0
        self._most = max(1.0, per_minute / 3.0)
        self._now = now
        self._left = self._most
        self._at = now()

    def take(self) -> bool:
        """Whether one more may be sent now; it then counts as sent."""
        self._fill()
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def wait_seconds(self) -> float:
        """Until one more may be sent."""
        self._fill()
        return max(0.0, (1.0 - self._left) / self._per_second)

    def _fill(self) -> None:
        now = self._now()
        # A clock that was set back fills nothing.
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
