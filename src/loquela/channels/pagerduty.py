"""PagerDuty, by its Events API v2: an alert opens an incident, its end resolves it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from loquela.channels.post import Poster
from loquela.monitoring.alerts.notification import Notification

# PagerDuty's own limit.
LONGEST_SUMMARY = 1024


@dataclass(frozen=True)
class Pagerduty:
    """`routing_key` is that of an integration of the service to call."""

    poster: Poster
    address: str
    routing_key: str

    def send(self, notification: Notification) -> None:
        """One event; a test opens an incident and resolves it."""
        if notification.action != "resolve":
            self._event(notification, "trigger", _payload(notification))
        if notification.action in ("resolve", "test"):
            self._event(notification, "resolve", None)

    def _event(self, notification: Notification, action: str, payload: JsonValue) -> None:
        body: dict[str, JsonValue] = {
            "routing_key": self.routing_key,
            "event_action": action,
            "dedup_key": notification.dedup_key,
        }
        if payload is not None:
            body |= {"payload": payload, "client": "Loquela"}
        self.poster.post(self.address, json.dumps(body, ensure_ascii=False).encode("utf-8"))


def _payload(notification: Notification) -> JsonValue:
    return {
        "summary": f"{notification.title}. {notification.text}"[:LONGEST_SUMMARY],
        "source": notification.subject,
        "severity": notification.severity,
        "timestamp": datetime.fromtimestamp(notification.at, UTC).isoformat(),
        "component": "loquela",
        "class": notification.rule,
        "custom_details": notification.facts,
    }
