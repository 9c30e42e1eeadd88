"""How often a key may ask, and how often an address may be refused.

Each pair of a key and a scope, and each address, has a bucket that holds a minute's worth of requests and fills up
evenly. With Redis they lie there, for all API processes together. Else they are this process's own: in the database
every request would be a write that waits for the disk, a thousand times the price, to hold back what reaches the
database anyway. Then several API processes allow as many times as much. Time is counted by a clock that nobody sets;
one that jumps back only begins to count anew.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict
from typing import Protocol

from loquela.core.errors import ErrorCode, LimitError
from loquela.jobs.clock import Clock
from loquela.jobs.settings import ServiceSettings
from loquela.service.keys import Scope

# Strangers can have many addresses: who has not been heard of for longest is forgotten first.
MOST_BUCKETS = 10_000
# In the audit log, over all addresses.
REFUSALS_NOTED_PER_MINUTE = 60


class TakesTogether(Protocol):
    """Buckets that several processes share."""

    def take(self, name: str, per_minute: int) -> float | None:
        """As `Buckets.take`; None where they cannot be had."""


class Buckets:
    """Token buckets by name, each of `per_minute` tokens; 0: there is no limit.

    `shared` are those of all processes, where this kind of bucket is called `kind`.
    """

    def __init__(self, per_minute: int, clock: Clock, shared: TakesTogether | None = None, kind: str = "") -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._shared, self._kind = shared, kind
        self._lock = threading.Lock()
        # Name → (tokens left, when).
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token and return 0, or the seconds until there is one."""
        if self.per_minute == 0:
            return 0.0
        together = self._shared.take(f"{self._kind}:{name}", self.per_minute) if self._shared is not None else None
        return self._take_here(name) if together is None else together

    def _take_here(self, name: str) -> float:
        now, rate = self._clock.now(), self.per_minute / 60
        with self._lock:
            left, at = self._held.pop(name, (float(self.per_minute), now))
            left = min(float(self.per_minute), left + max(0.0, now - at) * rate)
            wait = 0.0 if left >= 1 else (1 - left) / rate
            self._held[name] = (left - 1 if wait == 0 else left, now)
            if len(self._held) > MOST_BUCKETS:
                self._held.popitem(last=False)
        return wait


class Limits:
    """The limits of a service; all refusals are LimitError(RATE_LIMITED)."""

    def __init__(self, settings: ServiceSettings, clock: Clock, shared: TakesTogether | None = None) -> None:
        """`shared`: where several API processes count together."""
        self._settings = settings
        writes = Buckets(settings.writes_per_minute, clock, shared, "writes")
        self._of_scope = {
            Scope.READ: Buckets(settings.reads_per_minute, clock, shared, "reads"),
            Scope.RUN: writes,
            Scope.ADMIN: writes,
            Scope.INFER: Buckets(settings.inferences_per_minute, clock, shared, "inferences"),
        }
        self._failures = Buckets(settings.failures_per_minute, clock, shared, "failures")
        self._refusals = Buckets(REFUSALS_NOTED_PER_MINUTE, clock)

    def take(self, scope: Scope, key_id: str) -> None:
        """Count a request of a key."""
        self._adjust()
        bucket = self._of_scope[scope]
        wait = bucket.take(key_id)
        if wait > 0:
            raise _too_often(
                f"this key has asked {bucket.per_minute} times in a minute, which is the most",
                "ask more slowly, follow a stream instead of asking again, or raise the limit in the settings",
                wait,
            )

    def failed(self, address: str) -> None:
        """Count an attempt to get in that failed."""
        self._adjust()
        wait = self._failures.take(network_of(address))
        if wait > 0:
            raise _too_often(
                f"{self._failures.per_minute} attempts from this address failed within a minute",
                "wait, and send a key that is valid: loquela keys list shows which are",
                wait,
            )

    def _adjust(self) -> None:
        """The settings may have changed since."""
        self._of_scope[Scope.READ].per_minute = self._settings.reads_per_minute
        self._of_scope[Scope.RUN].per_minute = self._settings.writes_per_minute
        self._of_scope[Scope.INFER].per_minute = self._settings.inferences_per_minute
        self._failures.per_minute = self._settings.failures_per_minute

    def may_note_refusal(self) -> bool:
        """Whether one more refusal may be written down."""
        return self._refusals.take("") == 0


def network_of(address: str) -> str:
    """What one stranger has: an IPv4 address, or a /64 of IPv6 addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.IPv6Network((parsed.packed, 64), strict=False))
    return address


def _too_often(message: str, remedy: str, wait_seconds: float) -> LimitError:
    return LimitError(
        ErrorCode.RATE_LIMITED,
        message,
        remedy,
        retryable=True,
        details={"retry_after_seconds": max(1, math.ceil(wait_seconds))},
    )
