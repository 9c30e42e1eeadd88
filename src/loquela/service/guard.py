"""What every request meets first, before any route: an id, the host it is addressed to, the page that sends it.

A page of a stranger can make a browser send requests to this machine, under a name of the stranger's own (DNS
rebinding) or with the visitor's cookie (forgery). So only known names are answered, and only known pages.
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.service.errors import Forbidden, answer
from loquela.service.headers import SECURITY_HEADERS
from loquela.service.places import Places

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Only over TLS: a browser that heard it once asks this name over TLS for a year.
STRICT_TRANSPORT = {"strict-transport-security": "max-age=31536000"}


class Guard:
    """ASGI middleware around the whole service."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServiceSettings,
        places: Places,
        over_tls: bool,
    ) -> None:
        self._app = app
        self._places = places
        self._security_headers = SECURITY_HEADERS | (STRICT_TRANSPORT if over_tls else {})
        # Asked at every request: the lists may become shorter while the service runs.
        self._settings = settings

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
                for name, value in self._security_headers.items():
                    made.setdefault(name, value)
            await send(message)

        refused = self._refused(headers) or _unreadable(scope)
        if refused is not None:
            await answer(refused, request_id)(scope, receive, with_headers)
            return
        await self._app(scope, receive, self._places.hiding(with_headers))

    def _names(self) -> frozenset[str]:
        return LOCAL_NAMES | {host.lower() for host in (self._settings.host, *self._settings.allowed_hosts)}

    def _refused(self, headers: Headers) -> Forbidden | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._names():
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
        known = (each.lower().rstrip("/") for each in self._settings.allowed_origins)
        return plain in known or plain in (f"http://{host.lower()}", f"https://{host.lower()}")


def _unreadable(scope: Scope) -> RecipeError | None:
    """Refuse an address with the letter NUL, which no name has and databases choke on."""
    if "\0" not in scope["path"] and b"%00" not in scope["query_string"] and b"\0" not in scope["query_string"]:
        return None
    return RecipeError(ErrorCode.RUN_NOT_FOUND, "there is nothing with the letter NUL in its address", "leave it out")


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without its port; empty for one that is none."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return ""
    if name is None or "@" in host or "/" in host:
        return ""
    return f"[{name}]" if ":" in name else name
