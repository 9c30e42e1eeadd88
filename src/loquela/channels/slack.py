"""Slack, by an incoming webhook."""

from __future__ import annotations

import json
from dataclasses import dataclass

from loquela.channels.post import Poster
from loquela.monitoring.alerts.notification import Notification


@dataclass(frozen=True)
class Slack:
    """`address` is the webhook's, and the secret."""

    poster: Poster
    address: str

    def send(self, notification: Notification) -> None:
        """One message, as plain text."""
        text = f"[{notification.severity}] {notification.title}\n{notification.text}"
        body = {"text": _escaped(text), "mrkdwn": False, "unfurl_links": False}
        self.poster.post(self.address, json.dumps(body, ensure_ascii=False).encode("utf-8"))


def _escaped(text: str) -> str:
    """The three characters that Slack reads as markup; without them nobody can be mentioned."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
