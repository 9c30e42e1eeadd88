"""The event bus between processes: what is published is a row, and every subscriber of every process is told of it.

The in-process bus is `monitoring.events.EventBus`; this one has the same three verbs. With Redis a subscriber is woken
at once, without it looks a few times a second; a message that Redis loses is found in the table.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from loquela.core.errors import LoquelaError
from loquela.jobs.event_log import EventLog
from loquela.jobs.records import JsonObject, StoredEvent

CHANNEL = "loquela:bus"
LOOK_EVERY_SECONDS = 0.25
# With Redis, what it lost is found at the latest after this.
LOOK_WOKEN_SECONDS = 2.0
AWAY_SECONDS = 2.0
Callback = Callable[[JsonObject], None]
_log = logging.getLogger(__name__)


class Waker(Protocol):
    """Cuts the wait of other processes short; may lose calls."""

    def wake(self) -> None:
        """Something was published."""

    def wait(self, stop: threading.Event) -> None:
        """Return when something may have been published, or after a while."""

    def close(self) -> None:
        """Give the connection back."""


class Clockwork:
    """Nobody wakes: every subscriber looks by itself."""

    def wake(self) -> None:
        """Nothing to do."""

    def wait(self, stop: threading.Event) -> None:
        """A quarter of a second."""
        stop.wait(LOOK_EVERY_SECONDS)

    def close(self) -> None:
        """Nothing is held."""


class RedisWaker:
    """A word on a channel for each message; its text is nowhere but in the table."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=AWAY_SECONDS, socket_timeout=10)
        self._heard = PubSub(self._redis.connection_pool, ignore_subscribe_messages=True)

    def wake(self) -> None:
        """A Redis that is away wakes nobody: they look by themselves."""
        with suppress(RedisError):
            self._redis.publish(CHANNEL, "1")

    def wait(self, stop: threading.Event) -> None:
        """Until a word comes, two seconds at most."""
        try:
            if not self._heard.subscribed:
                self._heard.subscribe(CHANNEL)
            self._heard.get_message(timeout=LOOK_WOKEN_SECONDS)
        except RedisError:
            stop.wait(LOOK_EVERY_SECONDS)

    def close(self) -> None:
        """End the subscription."""
        self._heard.close()
        self._redis.close()


class StoredBus:
    """Publishes and subscribes by topic: the name of an event, `trainer.*` for all that begin so, `*` for all."""

    def __init__(self, events: EventLog, waker: Waker | None = None) -> None:
        self._events = events
        self._waker = waker or Clockwork()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[str, tuple[str, int, Callback]] = {}
        self._thread: threading.Thread | None = None

    def publish(self, topic: str, message: JsonObject) -> bool:
        """Write the message down, then wake who waits; true once it is written.

        Raises ResourceError(PERSISTENCE_FAILED) when the database is away.
        """
        self._events.append(topic, data=message)
        self._waker.wake()
        return True

    def subscribe(self, topic: str, callback: Callback) -> str:
        """Call `callback`, in a thread of the bus, with every message of `topic` published from now on, in order."""
        subscription_id = str(uuid.uuid4())
        with self._lock:
            self._callbacks[subscription_id] = (topic, self._events.last_seq(), callback)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
                self._thread.start()
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> bool:
        """Stop calling that callback; whether there was one."""
        with self._lock:
            return self._callbacks.pop(subscription_id, None) is not None

    def close(self) -> None:
        """Call nobody any more."""
        self._stop.set()
        self._waker.wake()
        if self._thread is not None:
            self._thread.join(timeout=15)
        self._waker.close()

    def _run(self) -> None:
        seq: int | None = None
        while not self._stop.is_set():
            try:
                seq = self._tell(seq)
            except LoquelaError:
                # The database is away; what was published is told when it is back.
                self._stop.wait(AWAY_SECONDS)
                continue
            self._waker.wait(self._stop)

    def _tell(self, seq: int | None) -> int:
        """Hand on what is new; the number of the newest message looked at."""
        with self._lock:
            begun = [since for _, since, _ in self._callbacks.values()]
        at = seq if seq is not None else min(begun) if begun else self._events.last_seq()
        while found := self._events.after(at):
            for event in found:
                self._hand_on(event)
            at = found[-1].seq
        return at

    def _hand_on(self, event: StoredEvent) -> None:
        with self._lock:
            wanting = [
                callback
                for topic, since, callback in self._callbacks.values()
                if event.seq > since
                and (event.name == topic or (topic.endswith("*") and event.name.startswith(topic[:-1])))
            ]
        for callback in wanting:
            try:
                callback(event.data)
            except Exception:  # a stranger's code: the others hear this and all that follows
                _log.exception("a subscriber of the bus failed at %s, which the others still hear", event.name)
