"""What a channel is, and how it says that it could not tell anybody."""

from __future__ import annotations

from typing import Protocol

from loquela.core.errors import ErrorCode, ResourceError
from loquela.monitoring.alerts.notification import Notification

USER_AGENT = "loquela"


class Channel(Protocol):
    """One place that notifications go to, opened with its secrets."""

    def send(self, notification: Notification) -> None:
        """Tell it, once; ResourceError(NOTIFICATION_FAILED), which says whether another try may succeed."""


def not_told(
    channel: str, why: str, *, retryable: bool = False, pause_seconds: float | None = None, remedy: str | None = None
) -> ResourceError:
    """The error of a channel that could not be told; `why` repeats no secret and no address that may hold one."""
    return ResourceError(
        ErrorCode.NOTIFICATION_FAILED,
        f"the alert channel {channel} could not be told: {why}",
        remedy or f"mend its settings or its credential, then try it: loquela alerts test --channel {channel}",
        retryable=retryable,
        details={"channel": channel, "pause_seconds": pause_seconds},
    )
