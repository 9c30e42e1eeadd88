"""One channel at work: a thread of its own behind a bounded queue, so that nothing it does can stop anybody."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from loquela.channels.contract import Channel
from loquela.channels.retries import Attempted, send_with_retries
from loquela.core.errors import LoquelaError
from loquela.monitoring.alerts.notification import Notification

QUEUE_LENGTH = 200
TRIES = 5

Told = Callable[[str, Notification, Attempted], None]


class Sender:
    """Hands notifications to one channel in order; `told` hears of each, from the sender's thread."""

    def __init__(self, name: str, channel: Channel, told: Told) -> None:
        self.name = name
        self._channel = channel
        self._told = told
        self._queue: queue.Queue[Notification | None] = queue.Queue(maxsize=QUEUE_LENGTH)
        self._over = threading.Event()
        self._in_work: Notification | None = None
        self._thread = threading.Thread(target=self._work, name=f"alerts-{name}", daemon=True)
        self._thread.start()

    def put(self, notification: Notification) -> bool:
        """Whether there was room."""
        try:
            self._queue.put_nowait(notification)
        except queue.Full:
            return False
        return True

    def finish(self, seconds: float) -> list[Notification]:
        """Send what is left, for at most `seconds`; the messages that found no time."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            self._over.set()
        self._thread.join(seconds)
        self._over.set()
        in_work = [self._in_work] if self._in_work is not None else []
        return [*in_work, *(left for left in list(self._queue.queue) if left is not None)]

    def _work(self) -> None:
        while not self._over.is_set() and (notification := self._queue.get()) is not None:
            self._in_work = notification
            try:
                done = send_with_retries(self._channel, notification, TRIES, self._over.wait)
            except LoquelaError as error:
                done = Attempted(False, 1, error.message)
            except Exception as error:  # a stranger's library: said in the log, and the next message is tried
                done = Attempted(False, 1, f"{type(error).__name__}")
            self._told(self.name, notification, done)
            self._in_work = None
