"""Credentials on requests: added at the last moment, to requests of one origin only.

They are no headers of the request that redirects are made from, so that a redirect to another host, port or scheme
cannot carry them along.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import httpx

from loquela.core.errors import ErrorCode, RecipeError
from loquela.security.credentials.credential import Credential

Origin = tuple[str, str, int | None]


@dataclass(frozen=True)
class BoundHeaders:
    """Headers that only requests to `origin` (scheme, host, port) get."""

    origin: Origin
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)

    def of(self, url: httpx.URL) -> tuple[tuple[bytes, bytes], ...]:
        """The headers for a request to `url`: all of them, or none."""
        return self.headers if origin_of(url) == self.origin else ()


def origin_of(url: httpx.URL) -> Origin:
    """What two addresses must share to count as one server."""
    return url.scheme, url.host.lower(), url.port


def bound_headers(credential: Credential, name: str, url: httpx.URL, *, allow_private: bool) -> BoundHeaders:
    """The headers that prove `credential` to the server of `url`.

    Raises RecipeError: AUTH_FAILED for a credential of another host or of a kind that no header carries,
    INVALID_SOURCE when it would go over plain HTTP (a server of one's own excepted).
    """
    credential.permitted_for(url.host, name)
    if url.scheme != "https" and not allow_private:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"the credential {name!r} would go to {url.host} over http, where everybody on the way can read it",
            "write https:// in the address of the source",
            details={"credential": name, "host": url.host},
        )
    return BoundHeaders(origin_of(url), (_header(credential, name),))


def _header(credential: Credential, name: str) -> tuple[bytes, bytes]:
    if credential.kind == "bearer":
        return b"Authorization", b"Bearer " + credential.secret("token").encode("utf-8")
    if credential.kind == "basic":
        pair = f"{credential.secret('username')}:{credential.secret('password')}".encode()
        return b"Authorization", b"Basic " + base64.b64encode(pair)
    if credential.kind == "header":
        return credential.secret("header").encode("utf-8"), credential.secret("value").encode("utf-8")
    raise RecipeError(
        ErrorCode.AUTH_FAILED,
        f"the credential {name!r} is a {credential.kind}, which web servers do not take",
        f"keep a bearer, basic or header credential: loquela credentials set {name} --kind bearer",
        details={"credential": name, "kind": credential.kind},
    )
