"""JSON that has one meaning: what two readers could take for two things is refused before anybody reads it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError

DEEPEST = 64
# Strings are stepped over whole, an unclosed one to the end, so that the text is gone through once.
STEP = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
# How letters are written that are none, or that databases refuse.
STRANGE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class UnreadableBody(RecipeError):
    """A body that cannot be taken for what it says it is."""

    http_status = 422


def check_json(body: bytes) -> None:
    """Raise UnreadableBody(CONFIG_INVALID) unless `body` is UTF-8 JSON, not too deep, each key once, numbers finite."""
    if not body.strip():
        return
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"it is no UTF-8: {error.reason} at byte {error.start}") from error
    depth = 0
    for step in STEP.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(step.group(), 0)
        if depth > DEEPEST:
            raise _refused(f"it is nested more than {DEEPEST} levels deep")
    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=_each_key_once, parse_constant=_no_constant, parse_float=_finite, parse_int=_short
        )
    except json.JSONDecodeError as error:
        raise _refused(f"{error.msg} at letter {error.pos}") from error
    if STRANGE.search(text) is not None and any(_strange(text) for text in _texts(value)):
        raise _refused("a text holds the letter NUL or half a letter")


def _each_key_once(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise _refused(f"the key {twice[:80]!r} stands there twice")
    return made


def _no_constant(word: str) -> JsonValue:
    raise _refused(f"{word} is no number in JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _refused("a number is too large")
    return number


def _short(digits: str) -> int:
    if len(digits) > 20:
        raise _refused("a number is too large")
    return int(digits)


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)


def _strange(text: str) -> bool:
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def _refused(why: str) -> UnreadableBody:
    return UnreadableBody(
        ErrorCode.CONFIG_INVALID, f"the body cannot be read as JSON: {why}", "send what GET /openapi.json describes"
    )
