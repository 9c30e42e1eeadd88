"""The printed link, turned into a session of a browser."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.service.authentication import COOKIE, Reader, address_of
from loquela.service.errors import Unauthorized
from loquela.service.keys import KeyRecord, Scope
from loquela.service.parts import parts_of, whole_service
from loquela.service.sessions import SESSION_SECONDS, LoginToken

SESSION_NAME = "browser session"
router = APIRouter(tags=["keys"])


class Session(BoundaryModel):
    """A browser's session; it ends at `expires_at`, seconds since 1970."""

    key_id: str
    expires_at: float | None


@router.get("/login")
def login(token: Annotated[str, Query(max_length=128)], request: Request, response: Response) -> Session:
    """Trade the link's token, which is good once, for a session cookie."""
    parts = whole_service(request)
    held: LoginToken | None = request.app.state.login
    if held is None or not held.use(token):
        parts.limits.failed(address_of(request))
        raise Unauthorized(
            ErrorCode.UNAUTHORIZED, "this link was used already, or is too old", "start the service again for a new one"
        )
    expires_at = parts.clock.now() + SESSION_SECONDS
    key, record = parts.keys.create(SESSION_NAME, [Scope.ADMIN], expires_at=expires_at)
    response.set_cookie(
        COOKIE,
        key.text,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        secure=parts.settings.tls_certificate is not None,
    )
    return Session(key_id=record.id, expires_at=record.expires_at)


@router.post("/logout")
def logout(key: Reader, request: Request, response: Response) -> KeyRecord:
    """End a browser's session; the key of anything else is revoked by who made it."""
    if request.cookies.get(COOKIE) is None or key.name != SESSION_NAME:
        raise RecipeError(
            ErrorCode.INVALID_STATE, "this is no browser's session", "revoke the key: loquela keys revoke"
        )
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return parts_of(request).keys.revoke(key.id)


@router.get("/me")
def me(key: Reader) -> KeyRecord:
    """The key that asks."""
    return key
