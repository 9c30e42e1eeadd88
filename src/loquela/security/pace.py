"""How fast one server is asked: at least so many seconds between the starts of two requests to a host."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Waits before a request until its host may be asked again; `slow_down` lengthens the pause of one host."""

    def __init__(
        self,
        pause_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._longer: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._clock = clock
        self._sleep = sleep

    def slow_down(self, host: str, pause_seconds: float) -> None:
        """Let `host` have at least `pause_seconds` between requests from now on."""
        self._longer[host] = max(pause_seconds, self._longer.get(host, 0.0))

    def wait(self, host: str) -> None:
        """Return when `host` may be asked, and count that as asking."""
        now = self._clock()
        last = self._last.get(host)
        if last is not None:
            pause = max(self._pause_seconds, self._longer.get(host, 0.0)) - (now - last)
            if pause > 0:
                self._sleep(pause)
        self._last[host] = self._clock()
