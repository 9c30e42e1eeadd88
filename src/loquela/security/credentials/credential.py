"""What a credential is, and the text form it is written in (environment, keyring, inside a sealed row)."""

from __future__ import annotations

import json
import re
from typing import Literal, Self, get_args

from pydantic import Field, SecretStr, model_validator

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel

CredentialKind = Literal["bearer", "basic", "header", "key_pair"]
KINDS: tuple[CredentialKind, ...] = get_args(CredentialKind)
NAME_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"

# What each kind consists of, in the order that it is asked for.
FIELDS: dict[CredentialKind, tuple[str, ...]] = {
    "bearer": ("token",),
    "basic": ("username", "password"),
    "header": ("header", "value"),
    "key_pair": ("access_key_id", "secret_access_key"),
}
# What a kind may have besides.
OPTIONAL_FIELDS: dict[CredentialKind, tuple[str, ...]] = {"key_pair": ("session_token",)}
# What may be typed with echo: not the secret part.
PUBLIC_FIELDS = frozenset({"username", "header", "access_key_id"})


class Credential(BoundaryModel):
    """A secret and what it is used as.

    `secrets` holds the fields of its kind: bearer: token; basic: username, password; header: header, value; key_pair:
    access_key_id, secret_access_key and perhaps session_token. With a `host` it is given to that host only.
    """

    kind: CredentialKind
    secrets: dict[str, SecretStr]
    host: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = FIELDS[self.kind]
        allowed = {*needed, *OPTIONAL_FIELDS.get(self.kind, ())}
        if not set(needed) <= set(self.secrets) <= allowed:
            raise ValueError(f"a {self.kind} credential consists of {', '.join(needed)}")
        if not all(secret.get_secret_value() for secret in self.secrets.values()):
            raise ValueError(f"no field of a {self.kind} credential may be empty")
        if any("\n" in secret.get_secret_value() or "\r" in secret.get_secret_value() for secret in self._in_headers()):
            raise ValueError("it has more than one line, which no request could carry")
        return self

    def _in_headers(self) -> list[SecretStr]:
        return [] if self.kind == "key_pair" else list(self.secrets.values())

    def secret(self, field: str) -> str:
        """The value of `field` in clear; the empty text for an optional one that is not there."""
        found = self.secrets.get(field)
        return found.get_secret_value() if found is not None else ""

    def permitted_for(self, host: str, name: str) -> Self:
        """Itself; RecipeError(AUTH_FAILED) when it is kept for another host."""
        if self.host is not None and self.host.lower() != host.lower():
            raise RecipeError(
                ErrorCode.AUTH_FAILED,
                f"the credential {name!r} is kept for {self.host}; it is not given to {host}",
                "correct the address of the source, or set a credential for that host",
                details={"credential": name, "host": host},
            )
        return self


def require_name(name: str) -> str:
    """`name`; RecipeError(CONFIG_INVALID) when no credential can be called so."""
    if not re.fullmatch(NAME_PATTERN, name):
        # The text may be the secret itself, put where its name belongs: it is not repeated.
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "a credential's name has small letters, digits, '-', '_' and '.' only, 64 at most; this one has not",
            "choose a name such as books-api; the secret itself is asked for",
        )
    return name


def to_text(credential: Credential) -> str:
    """One JSON object with `kind`, `host` and the fields, all in clear."""
    plain = {field: secret.get_secret_value() for field, secret in credential.secrets.items()}
    return json.dumps({"kind": credential.kind, "host": credential.host, **plain}, sort_keys=True)


def from_text(text: str, name: str) -> Credential:
    """The credential in a JSON object as `to_text` writes it; any other text is a bearer token.

    RecipeError(AUTH_FAILED) for an object that is no credential; what it holds is never repeated.
    """
    stripped = text.strip()
    if not stripped.startswith("{"):
        return _checked({"kind": "bearer", "token": stripped}, name)
    try:
        found = json.loads(stripped)
    except ValueError:
        # Without its cause, whose text quotes what it parsed.
        raise _unusable(name, "its JSON is broken") from None
    return _checked(found, name)


def _checked(fields: dict[str, object], name: str) -> Credential:
    secrets = {key: value for key, value in fields.items() if key not in ("kind", "host")}
    try:
        return Credential.model_validate({"kind": fields.get("kind"), "host": fields.get("host"), "secrets": secrets})
    except ValueError:
        raise _unusable(name, f"it is no whole credential of kind {', '.join(KINDS)}") from None


def _unusable(name: str, why: str) -> RecipeError:
    fields = "; ".join(f"{kind}: {', '.join(FIELDS[kind])}" for kind in KINDS)
    return RecipeError(
        ErrorCode.AUTH_FAILED,
        f"the credential {name!r} cannot be used: {why}",
        f"give a token as it is, or a JSON object with kind and its fields ({fields})",
        details={"credential": name},
    )
