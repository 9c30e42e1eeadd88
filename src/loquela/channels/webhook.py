"""An address of one's own: JSON, signed as Standard Webhooks has it.

    webhook-id          the message's own id: the same for every try of the same message
    webhook-timestamp   seconds since 1970, UTC, of this try
    webhook-signature   v1, and the Base64 of HMAC-SHA256 over <id>.<timestamp>.<body>

Who receives it refuses a timestamp that is more than five minutes away from its own clock, and an id that it has taken
already: what somebody recorded on the way cannot be played again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from loquela.channels.contract import not_told
from loquela.channels.post import Poster
from loquela.monitoring.alerts.notification import Notification

# How secrets of Standard Webhooks begin: what follows is Base64.
ENCODED = "whsec_"


@dataclass(frozen=True)
class Webhook:
    """`secret` is what receiver and sender share."""

    poster: Poster
    address: str
    secret: str
    clock: Callable[[], float] = time.time

    def send(self, notification: Notification) -> None:
        """One message; `id` in its body is that of its header."""
        body = notification.model_dump_json().encode("utf-8")
        stamp = str(int(self.clock()))
        headers = {
            "webhook-id": str(notification.id),
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature(self._key(), str(notification.id), stamp, body)}",
        }
        self.poster.post(self.address, body, headers)

    def _key(self) -> bytes:
        if not self.secret.startswith(ENCODED):
            return self.secret.encode("utf-8")
        try:
            return base64.b64decode(self.secret.removeprefix(ENCODED), validate=True)
        except binascii.Error:
            raise not_told(self.poster.channel, f"what follows {ENCODED} in its secret is no Base64") from None


def signature(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over <id>.<timestamp>.<body>."""
    signed = f"{message_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
