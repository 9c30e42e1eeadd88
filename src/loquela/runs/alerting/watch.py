"""Watches one run from a thread of its own: observations in, messages to senders and lines of alerts.jsonl out."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from loquela.channels.contract import Channel
from loquela.channels.retries import Attempted
from loquela.core.errors import LoquelaError
from loquela.monitoring.alerts.notification import Notification
from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.routing import held_back, released, wants
from loquela.monitoring.alerts.system import COMPONENT, AlertingSystem
from loquela.monitoring.events import trace
from loquela.runs.alerting.log import Delivered, remembered, write_delivered
from loquela.runs.alerting.sender import Sender

QUEUE_LENGTH = 10_000
TICK_SECONDS = 5.0

Trace = tuple[str, dict[str, JsonValue], str | None]


class TraceQueue:
    """A bus for other threads: what they publish waits until the run's own thread tells it."""

    def __init__(self) -> None:
        self._waiting: deque[Trace] = deque()

    def publish(self, name: str, data: dict[str, JsonValue], *, component: str | None = None) -> None:
        """Keep it."""
        self._waiting.append((name, data, component))

    def take(self) -> list[Trace]:
        """What has come since."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


class Watch:
    """From a run's start to its end. `see` and `moved` never wait and never raise."""

    def __init__(
        self,
        policy: AlertPolicy,
        channels: Mapping[str, Channel],
        run_directory: Path,
        *,
        clock: Callable[[], float] = time.time,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self.traces = TraceQueue()
        self.unseen = 0
        self._policy, self._directory = policy, run_directory
        self._clock, self._tick_seconds = clock, tick_seconds
        self._system = AlertingSystem(policy, run_directory.name, bus=self.traces, memory=remembered(run_directory))
        self._senders = {name: Sender(name, channel, self._told) for name, channel in channels.items()}
        self._held: dict[str, list[Notification]] = {name: [] for name in channels}
        self._moved_at = clock()
        self._writing = threading.Lock()
        self._closed = False
        self._queue: queue.Queue[Observation | None] = queue.Queue(maxsize=QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        self._thread.start()

    def moved(self) -> None:
        """The run said something that no rule looks at."""
        self._moved_at = self._clock()

    def see(self, seen: Observation) -> None:
        """Have it looked at; counted as unseen when the queue is full."""
        self._moved_at = self._clock()
        try:
            self._queue.put_nowait(seen)
        except queue.Full:
            self.unseen += 1

    def finish(self, seconds: float) -> None:
        """Look at what is left and tell it, for at most `seconds`; messages that found no time are dropped."""
        deadline = time.monotonic() + seconds
        # With a full queue the end waits for room, not longer than the rest may take.
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            self.unseen += 1
        self._thread.join(max(0.0, deadline - time.monotonic()))
        for sender in self._senders.values():
            for notification in sender.finish(max(0.0, deadline - time.monotonic())):
                late = "the run had ended, and there was no more time"
                self._write(Delivered(channel=sender.name, outcome="dropped", error=late, notification=notification))
        if self.unseen:
            trace(self.traces, COMPONENT, "observations_dropped", observations=self.unseen)
        with self._writing:
            self._closed = True

    def _work(self) -> None:
        self._look_at_disk()
        tick_at = time.monotonic() + self._tick_seconds
        while True:
            try:
                seen = self._queue.get(timeout=max(0.0, tick_at - time.monotonic()))
            except queue.Empty:
                tick_at = time.monotonic() + self._tick_seconds
                self._observe(Observation(kind="tick"))
                self._look_at_disk()
                self._release_if_loud()
                continue
            if seen is None:
                self._release()
                return
            self._observe(seen)

    def _look_at_disk(self) -> None:
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError:
            return  # a folder that cannot be read stops the run by itself
        self._observe(Observation(kind="disk", free_bytes=free))

    def _observe(self, seen: Observation) -> None:
        now = self._clock()
        if seen.kind == "tick" and self._system.memory.active:
            seen = Observation(kind="alive", moved_at=self._moved_at)
        for notification in self._system.observe(seen, now):
            self._tell(notification, now)

    def _tell(self, notification: Notification, now: float) -> None:
        meant = [settings for settings in self._policy.channels if wants(settings, notification)]
        if not meant:
            self._write(Delivered(channel=None, outcome="noticed", notification=notification))
        for settings in meant:
            if held_back(self._policy.quiet_hours, notification, now):
                self._held[settings.name].append(notification)
                self._write(Delivered(channel=settings.name, outcome="held", notification=notification))
            else:
                self._send(settings.name, notification)

    def _send(self, name: str, notification: Notification) -> None:
        if not self._senders[name].put(notification):
            self._write(Delivered(channel=name, outcome="dropped", notification=notification))

    def _release_if_loud(self) -> None:
        hours = self._policy.quiet_hours
        if hours is not None and not hours.quiet_at(self._clock()):
            self._release()

    def _release(self) -> None:
        """At the end of quiet hours; and at the end of the run, since nobody is left to do it later."""
        for settings in self._policy.channels:
            held, self._held[settings.name] = self._held[settings.name], []
            for notification in released(settings.kind, held, self._clock()):
                self._send(settings.name, notification)

    def _told(self, name: str, notification: Notification, done: Attempted) -> None:
        """From a sender's thread."""
        outcome = Delivered(
            channel=name,
            outcome="sent" if done.sent else "failed",
            attempts=done.attempts,
            error=done.error,
            notification=notification,
        )
        self._write(outcome)
        if done.sent:
            trace(
                self.traces, COMPONENT, "alert_sent", channel=name, rule=notification.rule, action=notification.action
            )

    def _write(self, delivered: Delivered) -> None:
        try:
            with self._writing:
                # The records of a run that has ended are sealed: a thread that comes late writes nothing more.
                if not self._closed:
                    write_delivered(self._directory, delivered)
        except LoquelaError as error:
            # A full disk must not keep the message about it from being sent.
            trace(self.traces, COMPONENT, "alert_unlogged", code=str(error.code))
