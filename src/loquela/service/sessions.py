"""The link that is printed when the service starts: good once, for a short time, for a session of a browser."""

from __future__ import annotations

import hmac
import secrets
import threading

from loquela.jobs.clock import Clock

GOOD_FOR_SECONDS = 15 * 60.0
SESSION_SECONDS = 12 * 3600.0


class LoginToken:
    """One token; held in memory only, so that it is worth nothing after the process has ended."""

    def __init__(self, clock: Clock) -> None:
        self.text = secrets.token_urlsafe(32)
        self._clock = clock
        self._until = clock.now() + GOOD_FOR_SECONDS
        self._unused = True
        self._lock = threading.Lock()

    def use(self, text: str) -> bool:
        """Whether `text` is the token, for the first time and not too late."""
        with self._lock:
            right = hmac.compare_digest(text.encode("utf-8", "replace"), self.text.encode())
            good = right and self._unused and self._clock.now() < self._until
            self._unused = self._unused and not good
            return good
