"""How often a channel is tried, and how long to wait between."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from loquela.channels.contract import Channel
from loquela.core.errors import LoquelaError, ResourceError
from loquela.monitoring.alerts.notification import Notification

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
JITTER = 0.2


@dataclass(frozen=True)
class Attempted:
    """What became of a message; `error` is what the last try said."""

    sent: bool
    attempts: int
    error: str | None = None


def pause_seconds(failures: int, error: LoquelaError) -> float | None:
    """How long to wait after so many failures in a row; None when another try is pointless.

    What the server asks for (Retry-After), else twice as long each time, give or take a fifth.
    """
    if not error.retryable:
        return None
    asked = error.details.get("pause_seconds")
    if isinstance(asked, int | float):
        return min(float(asked), LONGEST_PAUSE_SECONDS)
    doubled: float = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
    return doubled * random.uniform(1 - JITTER, 1 + JITTER)


def send_with_retries(
    channel: Channel, notification: Notification, tries: int, stopped: Callable[[float], bool]
) -> Attempted:
    """Try until it is taken, at most `tries` times; `stopped(seconds)` waits, true when nobody waits any more."""
    number = 0
    while True:
        number += 1
        try:
            channel.send(notification)
        except ResourceError as error:
            pause = pause_seconds(number, error)
            if pause is None or number >= tries or stopped(pause):
                return Attempted(False, number, error.message)
        else:
            return Attempted(True, number)
