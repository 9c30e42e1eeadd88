"""Discord, by a webhook of a channel."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from loquela.channels.post import Poster
from loquela.monitoring.alerts.notification import Notification, Severity

COLOURS: dict[Severity, int] = {"info": 0x4477AA, "warning": 0xCCBB44, "critical": 0xCC3311}
OVER = 0x228833
# Discord's own limits.
LONGEST_TITLE, LONGEST_TEXT = 256, 4096
MARKUP = re.compile(r"([\\*_~`|>\[\]])")


@dataclass(frozen=True)
class Discord:
    """`address` is the webhook's, and the secret."""

    poster: Poster
    address: str

    def send(self, notification: Notification) -> None:
        """One embed; nobody is mentioned, whatever stands in it."""
        embed = {
            "title": _plain(notification.title)[:LONGEST_TITLE],
            "description": _plain(notification.text)[:LONGEST_TEXT],
            "color": OVER if notification.action == "resolve" else COLOURS[notification.severity],
            "timestamp": datetime.fromtimestamp(notification.at, UTC).isoformat(),
        }
        body = {"embeds": [embed], "allowed_mentions": {"parse": []}}
        self.poster.post(self.address, json.dumps(body, ensure_ascii=False).encode("utf-8"))


def _plain(text: str) -> str:
    return MARKUP.sub(r"\\\1", text)
