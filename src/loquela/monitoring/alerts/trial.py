"""The message that channels are tried with."""

from __future__ import annotations

from uuid import uuid4

from loquela.monitoring.alerts.notification import Notification


def trial(subject: str, now: float) -> Notification:
    """A message of its own, which says that it means nothing."""
    made = uuid4()
    return Notification(
        alert_id=made,
        action="test",
        rule="test",
        severity="info",
        subject=subject,
        dedup_key=f"{subject}:test:{made}",
        title="a test of this alert channel",
        text="Nothing happened. Alerts of Loquela arrive here.",
        at=now,
    )
