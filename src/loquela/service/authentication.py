"""Who asks, and whether they may: a key in `Authorization: Bearer`, `X-Api-Key`, or the session cookie of a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from loquela.core.errors import ErrorCode
from loquela.jobs.actor import current_actor
from loquela.service.errors import Forbidden, Unauthorized
from loquela.service.keys import KeyRecord, Scope
from loquela.service.parts import show_within, whole_service

COOKIE = "loquela_session"
# Reading, and asking a model, changes nothing.
PRIVILEGED = (Scope.RUN, Scope.ADMIN)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Only for the description in openapi.json; what is sent is read below.
SCHEMES = (HTTPBearer(auto_error=False), APIKeyHeader(name="X-Api-Key", auto_error=False))


def caller(request: Request) -> KeyRecord:
    """The key that a request was sent with; Unauthorized where there is none that counts."""
    known: KeyRecord | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    sent = _sent(request)
    record = whole_service(request).keys.check(sent) if sent else None
    if record is None:
        # Only who has no valid key is held back: nobody can lock out another by failing on their machine.
        whole_service(request).limits.failed(address_of(request))
        raise Unauthorized(
            ErrorCode.UNAUTHORIZED,
            "a valid API key is needed",
            "send it as Authorization: Bearer …; loquela keys create makes one",
        )
    actor = current_actor()
    actor.name = record.id
    request.state.caller = record
    show_within(request, record.project)
    return record


def allowed(scope: Scope) -> Callable[[Request], KeyRecord]:
    """A dependency that lets in who may do `scope`."""

    def check(request: Request) -> KeyRecord:
        record = caller(request)
        if not record.allows(scope):
            raise Forbidden(
                ErrorCode.UNAUTHORIZED,
                f"this key may not do that: it lacks the scope {scope}",
                f"ask for a key with {scope}: loquela keys create NAME --scope {scope}",
            )
        whole_service(request).limits.take(scope, record.id)
        current_actor().privileged = scope in PRIVILEGED
        return record

    return check


Reader = Annotated[KeyRecord, Depends(allowed(Scope.READ))]
Runner = Annotated[KeyRecord, Depends(allowed(Scope.RUN))]
Inferrer = Annotated[KeyRecord, Depends(allowed(Scope.INFER))]
Administrator = Annotated[KeyRecord, Depends(allowed(Scope.ADMIN))]


def address_of(request: Request) -> str:
    """The address that a request came from; a proxy's where there is one, since anybody may write a header."""
    return request.client.host if request.client is not None else ""


def _sent(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return token.strip()
    header = request.headers.get("x-api-key")
    if header:
        return header
    cookie = request.cookies.get(COOKIE, "")
    # A browser sends a cookie by itself; what changes something must come from our own page, which says so.
    if cookie and request.method not in SAFE_METHODS and request.headers.get("origin") is None:
        return ""
    return cookie
