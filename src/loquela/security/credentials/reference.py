"""A setting that names a credential instead of holding it: `credential:<name>`."""

from __future__ import annotations

from loquela.core.errors import ErrorCode, RecipeError
from loquela.security.credentials.credential import Credential
from loquela.security.credentials.lookup import Find, get

PREFIX = "credential:"


def resolved(text: str, find: Find = get) -> str:
    """`text` itself, or the token of the credential that it names.

    Raises RecipeError(AUTH_FAILED) where there is none, or one that is no token; errors of the store.
    """
    if not text.startswith(PREFIX):
        return text
    name = text.removeprefix(PREFIX)
    found: Credential = find(name)
    token = found.secret("token")
    if not token:
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"the credential {name!r} is no token but of kind {found.kind}, which cannot stand for a setting",
            f"keep it as a token: loquela credentials set {name}",
            details={"credential": name},
        )
    return token
