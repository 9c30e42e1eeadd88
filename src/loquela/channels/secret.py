"""The secrets of channels, fetched by their names when a channel is opened."""

from __future__ import annotations

import httpx

from loquela.channels.contract import not_told
from loquela.security.credentials.credential import Credential
from loquela.security.credentials.lookup import Find


def token_of(channel: str, name: str, find: Find, host: str | None = None) -> str:
    """The token of a credential, to be given to `host`.

    Raises RecipeError(AUTH_FAILED) where there is none, or one that is kept for another host;
    ResourceError(NOTIFICATION_FAILED) for one that is no token.
    """
    found = _of_kind(channel, name, find, "bearer")
    return (found if host is None else found.permitted_for(host, name)).secret("token")


def login_of(channel: str, name: str, host: str, find: Find) -> tuple[str, str]:
    """Username and password of a credential, for that host; errors as `token_of`."""
    found = _of_kind(channel, name, find, "basic").permitted_for(host, name)
    return found.secret("username"), found.secret("password")


def secret_address(channel: str, name: str, find: Find) -> str:
    """The address that a credential holds, which is the secret itself; errors as `token_of`."""
    text = token_of(channel, name, find)
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("https", "http") or not url.host or url.userinfo:
        raise not_told(channel, f"the credential {name!r} holds no address that begins with https:// and a host")
    find(name).permitted_for(url.host, name)
    return text


def _of_kind(channel: str, name: str, find: Find, kind: str) -> Credential:
    found = find(name)
    if found.kind != kind:
        raise not_told(
            channel,
            f"its credential {name!r} is of kind {found.kind}, not {kind}",
            remedy=f"keep it so: loquela credentials set {name} --kind {kind}",
        )
    return found
