"""Which channel is told what, now or when quiet hours end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from loquela.monitoring.alerts.channel_settings import ChannelKind, ChannelSettings
from loquela.monitoring.alerts.notification import SEVERITIES, Notification, alert_id, at_least
from loquela.monitoring.alerts.quiet_hours import QuietHours

# These open something that must be closed again, so a summary would not do.
KEEPS_INCIDENTS: tuple[ChannelKind, ...] = ("pagerduty",)
LINES_OF_A_SUMMARY = 30


def wants(channel: ChannelSettings, notification: Notification) -> bool:
    """Whether a channel is meant for that severity and rule; a test always is."""
    if notification.action in ("test", "summary"):
        return True
    if channel.rules is not None and notification.rule not in channel.rules:
        return False
    return at_least(notification.severity, channel.from_severity)


def held_back(hours: QuietHours | None, notification: Notification, now: float) -> bool:
    """Whether it waits until quiet hours end."""
    if hours is None or notification.severity == "critical" or notification.action == "test":
        return False
    return hours.quiet_at(now)


def released(kind: ChannelKind, held: Sequence[Notification], now: float) -> list[Notification]:
    """What a channel is told, when quiet hours end, of what was held back for it (oldest first).

    One summary; of a channel that keeps incidents each alert that still goes on, and each end of one that it knew.
    """
    if not held:
        return []
    if kind not in KEEPS_INCIDENTS:
        return [held[0]] if len(held) == 1 else [_summary(held, now)]
    by_key = sorted(held, key=lambda each: each.dedup_key)
    open_ends: list[Notification] = []
    for _, group in groupby(by_key, key=lambda each: each.dedup_key):
        told = list(group)
        known_before, goes_on = told[0].action == "resolve", told[-1].action == "trigger"
        open_ends += [told[0]] if known_before else []
        open_ends += [told[-1]] if goes_on else []
    return sorted(open_ends, key=lambda each: each.at)


def _summary(held: Sequence[Notification], now: float) -> Notification:
    worst = max((each.severity for each in held), key=SEVERITIES.index)
    lines = [f"{each.title}. {each.text}" for each in held[:LINES_OF_A_SUMMARY]]
    if len(held) > LINES_OF_A_SUMMARY:
        lines.append(f"… and {len(held) - LINES_OF_A_SUMMARY} more.")
    key = "quiet_hours"
    return Notification(
        alert_id=alert_id(f"{key}:{held[0].id}", len(held), now),
        action="summary",
        rule=key,
        severity=worst,
        subject=key,
        dedup_key=key,
        title=f"{len(held)} alerts while it was quiet",
        text="\n".join(lines),
        at=now,
        facts={"alerts": len(held)},
    )
