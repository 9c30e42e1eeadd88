"""What every request meets first, before any route: an id, the host it is addressed to, the page that sends it.

A page of a stranger can make a browser send requests to this machine, under a name of the stranger's own (DNS
rebinding) or with the visitor's cookie (forgery). So only known names are answered, and only known pages.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loquela.core.errors import ErrorCode
from loquela.service.errors import Forbidden, answer
from loquela.service.places import Places

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UPLOAD_PATH = "/v1/files"
# What a form has around the file itself.
FORM_BYTES = 65_536
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware around the whole service."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Sequence[str],
        origins: Sequence[str],
        max_body_bytes: int,
        max_upload_bytes: int,
        places: Places,
    ) -> None:
        self._app = app
        self._places = places
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes + FORM_BYTES
        self._hosts = LOCAL_NAMES | {host.lower() for host in hosts}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a stranger with 403, hand everybody else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                made = MutableHeaders(scope=message)
                made["x-request-id"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    made.setdefault(name, value)
            await send(message)

        refused = self._refused(headers)
        if refused is not None:
            await answer(refused, request_id)(scope, receive, with_headers)
            return
        await self._app(scope, self._limited(receive, self._most(scope)), self._places.hiding(with_headers))

    def _most(self, scope: Scope) -> int:
        return self._max_upload_bytes if scope["path"] == UPLOAD_PATH else self._max_body_bytes

    def _limited(self, receive: Receive, most: int) -> Receive:
        """`receive` that stops at the largest body, whatever its announced length."""
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413, f"a request's body may have {most} bytes")
            return message

        return limited

    def _refused(self, headers: Headers) -> Forbidden | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._hosts:
            return Forbidden(
                ErrorCode.UNAUTHORIZED,
                "the request is addressed to a name that this service does not have",
                "ask under localhost, or add the name to allowed_hosts",
            )
        origin = headers.get("origin")
        if origin is not None and not self._own(origin, hosts[0]):
            return Forbidden(
                ErrorCode.UNAUTHORIZED,
                "the request comes from a page of another origin",
                "add the page's origin to allowed_origins if it is yours",
            )
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and origin is None:
            return Forbidden(ErrorCode.UNAUTHORIZED, "another page sent the browser here", "open the address yourself")
        return None

    def _own(self, origin: str, host: str) -> bool:
        plain = origin.lower().rstrip("/")
        return plain in self._origins or plain in (f"http://{host.lower()}", f"https://{host.lower()}")


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without its port; empty for one that is none."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return ""
    if name is None or "@" in host or "/" in host:
        return ""
    return f"[{name}]" if ":" in name else name
