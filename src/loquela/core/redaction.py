"""What no log, message or picture may show: secrets, by their look and by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import JsonValue

SECRET = "[secret]"  # noqa: S105 - what is shown in place of one
SHORTEST_KNOWN = 6
# "token" alone is a word of this field, not a secret.
_NAMES = r"password|passwd|secret|(?:access|auth|bearer|refresh|session|bot|hf|api)_?token|api_?key|private_?key"
SECRET_NAME = re.compile(rf"(?i)(?:{_NAMES}|authorization)$")
# Each pattern begins at a word's beginning and is bounded: strangers' text of any length is gone through about once.
_LOOKS_SECRET = (
    re.compile(r"\blq_\w+"),
    re.compile(r"\b(?:sk|hf|ghp|gho|github_pat|xox[abpr]|glpat)[-_][\w-]{8,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}"),
    re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]+\.[\w-]*"),
    # A bot's token at Discord.
    re.compile(r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,100}"),
    re.compile(r"(?i)\b(?:bearer|basic|bot)\s+[\w.~+/=-]{8,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
# The name stays, what is behind it goes.
_NAMED = re.compile(rf"(?i)((?:\b\w*(?:{_NAMES})|[?&]token)\s*[=:]\s*)[^\s,;&\"']+")
_IN_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s@:]*:[^/\s@]*@")


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """`text` without the values in `known` and without what looks like a secret."""
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= SHORTEST_KNOWN:
            text = text.replace(secret, SECRET)
    for pattern in _LOOKS_SECRET:
        text = pattern.sub(SECRET, text)
    return _NAMED.sub(rf"\1{SECRET}", _IN_ADDRESS.sub(rf"\1{SECRET}@", text))


def redacted(value: JsonValue, known: Iterable[str] = ()) -> JsonValue:
    """The same for every text in `value`; what stands under the name of a secret goes whole."""
    hidden = list(known)
    if isinstance(value, str):
        return without_secrets(value, hidden)
    if isinstance(value, list):
        return [redacted(each, hidden) for each in value]
    if isinstance(value, dict):
        return {
            name: SECRET if SECRET_NAME.search(name) and isinstance(each, str) and each else redacted(each, hidden)
            for name, each in value.items()
        }
    return value
