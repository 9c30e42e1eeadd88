"""Every other service, by the package Apprise, which makes its own connections: its address says where to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from loquela.channels.contract import not_told
from loquela.core.extras import require
from loquela.monitoring.alerts.notification import Notification, Severity

PURPOSE = "telling other services of alerts"
KINDS: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}


class _Apprise(Protocol):
    def add(self, servers: str) -> bool: ...

    def notify(self, body: str, title: str, notify_type: str) -> object: ...


@dataclass(frozen=True)
class AppriseService:
    """`address` is the service's Apprise address, which holds its secrets."""

    channel: str
    address: str

    def send(self, notification: Notification) -> None:
        """One message, as the service shows it."""
        kind = "success" if notification.action == "resolve" else KINDS[notification.severity]
        if not self.opened().notify(body=notification.text, title=notification.title, notify_type=kind):
            raise not_told(self.channel, "the service did not take it", retryable=True)

    def opened(self) -> _Apprise:
        """Apprise with that address; ResourceError (NOTIFICATION_FAILED, MISSING_EXTRA)."""
        module = require("apprise", extra="alerts", purpose=PURPOSE)
        # It would say on stderr what our own error says, beside the training's progress.
        logging.getLogger("apprise").propagate = False
        service: _Apprise = module.Apprise()
        if not service.add(self.address):
            raise not_told(self.channel, "its credential holds no address that Apprise knows")
        return service
