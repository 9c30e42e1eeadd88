"""Secrets have no place in a recipe, which is copied into every run: what looks like one is refused, unrepeated."""

from __future__ import annotations

import re

from pydantic import JsonValue

SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:api[_-]?key|access[_-]?key|access[_-]?token|auth[_-]?token|authorization|password|passwd|secret|"
    r"secret[_-]?access[_-]?key|token)$",
    re.IGNORECASE,
)
IN_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]*:[^/?#@\s]+@")
IN_QUERY = re.compile(r"[?&;]([A-Za-z0-9_.-]+)=[^&;#\s]")
# Beginnings that the issuers of tokens chose so that tokens are recognised.
TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|gh[opsu]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|"
    r"glpat-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|"
    r"AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.)|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
REMEDY = "keep it with `loquela credentials set NAME` and write credential: NAME"


def secret_in(value: JsonValue, name: str = "") -> str | None:
    """What kind of secret `value`, which stands under the key `name`, seems to hold; None for none."""
    if isinstance(value, dict):
        return next(filter(None, (secret_in(inner, key) for key, inner in value.items())), None)
    if isinstance(value, list):
        return next(filter(None, (secret_in(inner, name) for inner in value)), None)
    if not isinstance(value, str) or not value:
        return None
    if SECRET_NAME.search(name):
        return f"{name} holds a secret"
    if IN_ADDRESS.match(value):
        return "the address holds a password"
    if any(SECRET_NAME.search(found) for found in IN_QUERY.findall(value)):
        return "the address holds a secret in its query"
    return "it holds what looks like a token or a private key" if TOKEN.search(value) else None


def without_secret(text: str) -> str:
    """`text`; ValueError, without repeating it, when it seems to hold a secret."""
    found = secret_in(text)
    if found is not None:
        raise ValueError(f"{found}, and a recipe is written into every run; {REMEDY}")
    return text
