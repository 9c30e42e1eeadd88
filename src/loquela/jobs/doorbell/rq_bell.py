"""A bell that other machines hear: RQ's queue in Redis or Valkey.

What lies in the queue is a name, `<job>-<fence>`, and never more than a hint: whoever hears it claims in SQL, and takes
whatever is waiting there. Nothing from Redis is ever executed or believed, so what a stranger puts there does nothing.
"""

from __future__ import annotations

import re
import threading
import time

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

QUEUE = "loquela"
# What RQ allows in no name.
STRANGE = re.compile(r"[^A-Za-z0-9_-]")
# The one callable that RQ's own tools are shown; workers of ours do not call it.
CALLABLE = "loquela.worker.heard.look_at_the_queue"
KEPT_SECONDS = 3600
# Between two tries while Redis is away.
AWAY_SECONDS = 0.25
CONNECT_SECONDS = 2.0


class RqDoorbell:
    """Rings through Redis. While it is away bells are lost, which the workers' own looks at the queue make good."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=30, health_check_interval=15
        )
        self._queue = Queue(QUEUE, connection=self._redis, serializer=JSONSerializer)
        self._woken = threading.Event()

    def ring(self, job_id: str, fence: int) -> None:
        """Put the job's name into the queue; ringing twice for one claim is one entry."""
        name = f"{STRANGE.sub('_', job_id)}-{fence}"
        try:
            self._queue.enqueue_call(
                CALLABLE, (job_id, fence), job_id=name, ttl=KEPT_SECONDS, result_ttl=0, failure_ttl=KEPT_SECONDS
            )
        except RedisError:
            # A bell may be lost; the row is not.
            return

    def wait(self, timeout_seconds: float) -> None:
        """Wait for a bell, `wake`, or the time, which Redis counts in whole seconds."""
        until = time.monotonic() + timeout_seconds
        while not self._woken.is_set() and (left := until - time.monotonic()) > 0:
            try:
                heard = self._redis.blpop([self._queue.key], timeout=1 if left >= 1 else left)
            except RedisError:
                self._woken.wait(min(AWAY_SECONDS, left))
                return
            if heard is not None:
                self._forget(heard)
                return
        self._woken.clear()

    def wake(self) -> None:
        """End a wait of this process within a second."""
        self._woken.set()

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _forget(self, heard: object) -> None:
        """Remove what RQ keeps beside the name."""
        if isinstance(heard, list | tuple) and isinstance(heard[1], bytes):
            name = heard[1].decode("utf-8", "replace")
            try:
                self._redis.delete(Job.key_for(name))
            except RedisError:
                return
