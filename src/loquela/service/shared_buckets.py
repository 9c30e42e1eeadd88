"""Token buckets in Redis, for all API processes together.

Each take is one script, which Redis carries out alone and by its own clock. While Redis is away each process counts by
itself: a limit then holds once for every process, and nobody is locked out or let in freely.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from loquela.core.errors import LoquelaError
from loquela.jobs.event_log import EventLog

PREFIX = "loquela:limits:"
# A request waits for this at most; then it is counted here.
ANSWER_SECONDS = 0.25
AWAY_SECONDS = 2.0
ALONE, TOGETHER = "service.limits_alone.v1", "service.limits_together.v1"
# A bucket that was not touched for a minute is full, and need not be kept. A clock that jumps back only begins anew.
TAKE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local most = tonumber(ARGV[1])
local rate = most / 60
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = tonumber(held[1] or most)
local at = tonumber(held[2] or now)
left = math.min(most, left + math.max(0, now - at) * rate)
local wait = 0
if left >= 1 then left = left - 1 else wait = (1 - left) / rate end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 61)
return string.format('%.6f', wait)
"""


class SharedBuckets:
    """Takes from buckets in Redis; asked by many threads."""

    def __init__(self, url: str, events: EventLog) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS)
        self._script = self._redis.register_script(TAKE)
        self._events = events
        self._lock = threading.Lock()
        self._alone = False
        self._ask_at = 0.0

    def take(self, name: str, per_minute: int) -> float | None:
        """Take a token and return 0, or the seconds until there is one; None where Redis is away."""
        if time.monotonic() < self._ask_at:
            return None
        try:
            answer: object = self._script(keys=[PREFIX + name], args=[per_minute])
            wait = float(answer) if isinstance(answer, bytes) else 0.0
        except RedisError:
            self._ask_at = time.monotonic() + AWAY_SECONDS
            self._now(alone=True)
            return None
        if self._alone:
            self._now(alone=False)
        return wait

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _now(self, *, alone: bool) -> None:
        """Say it when it changes."""
        with self._lock:
            if self._alone is alone:
                return
            self._alone = alone
        message = "Redis is away: each API process counts requests by itself" if alone else "Redis counts again"
        with suppress(LoquelaError):
            self._events.append(ALONE if alone else TOGETHER, data={"message": message})
