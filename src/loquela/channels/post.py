"""One POST to an address that somebody wrote into a file: guarded, bounded, never redirected."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import httpx

from loquela.channels.contract import USER_AGENT, not_told
from loquela.core.errors import RecipeError, ResourceError
from loquela.security.addresses import Resolver, resolve_host
from loquela.security.http import GuardedTransport
from loquela.security.http_answer import RETRIED_STATUS, retry_after

TIMEOUT_SECONDS = 10.0
TOTAL_SECONDS = 20.0
PRIVATE = "set alerts.allow_private_addresses: true if you mean a server of your own"


@dataclass(frozen=True)
class Poster:
    """Sends for one channel; `allow_private` lets it reach loopback and private addresses, and ask them without TLS."""

    channel: str
    allow_private: bool
    timeout_seconds: float = TIMEOUT_SECONDS
    total_seconds: float = TOTAL_SECONDS
    resolver: Resolver = field(default=resolve_host)

    def post(self, address: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """POST `body` (JSON); returns when it was taken (2xx).

        Raises ResourceError(NOTIFICATION_FAILED). The address may be a secret: only its host is ever named.
        """
        url = httpx.URL(address)
        if url.scheme != "https" and not self.allow_private:
            raise not_told(self.channel, f"its secrets would go to {url.host} over http", remedy=PRIVATE)
        try:
            status, pause = self._answer(url, body, headers or {})
        except httpx.TimeoutException as error:
            raise not_told(self.channel, f"{url.host} did not answer in time", retryable=True) from error
        except httpx.TransportError as error:
            why = f"the connection to {url.host} failed ({type(error).__name__})"
            raise not_told(self.channel, why, retryable=True) from error
        except RecipeError as error:
            raise not_told(
                self.channel, f"{url.host} leads to an address that is not public", remedy=PRIVATE
            ) from error
        except ResourceError as error:
            raise not_told(self.channel, f"{url.host} has no address", retryable=True) from error
        if not 200 <= status < 300:
            raise not_told(
                self.channel, f"{url.host} answers {status}", retryable=status in RETRIED_STATUS, pause_seconds=pause
            )

    def _answer(self, url: httpx.URL, body: bytes, headers: dict[str, str]) -> tuple[int, float | None]:
        transport = GuardedTransport(allow_private=self.allow_private, resolver=self.resolver)
        sent = {"User-Agent": USER_AGENT, "Content-Type": "application/json", **headers}
        limits: dict[str, object] = {"deadline": time.monotonic() + self.total_seconds}
        with (
            httpx.Client(transport=transport, timeout=self.timeout_seconds, follow_redirects=False) as client,
            # What the answer's body says is nobody's business, and could be endless.
            client.stream("POST", url, content=body, headers=sent, extensions=limits) as response,
        ):
            return response.status_code, retry_after(response)
