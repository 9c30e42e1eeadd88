"""The text of one record → its JSON value, strictly: what JSON does not have is named, not guessed."""

from __future__ import annotations

import json
import re

from pydantic import JsonValue

from loquela.data.reading.bad_record import BadRecord

# A surrogate on its own is valid JSON and no valid text.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonParser:
    """Parses records. NaN and infinities, which JSON does not have, become null; `non_numbers` counts them."""

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth
        self.non_numbers = 0
        self._decoder = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=self._no_number)

    def parse(self, text: str) -> JsonValue:
        """The value of `text`; BadRecord for anything that is not one JSON value."""
        try:
            value: JsonValue = self._decoder.decode(text)
        except json.JSONDecodeError as error:
            raise BadRecord(f"it is no JSON: {error.msg} at character {error.pos}") from error
        except RecursionError as error:
            raise BadRecord(f"it is nested deeper than {self._max_depth} levels") from error
        except ValueError as error:  # a whole number of thousands of digits
            raise BadRecord(f"a number is out of range: {error}") from error
        if text.count("[") + text.count("{") > self._max_depth and _depth(value) > self._max_depth:
            raise BadRecord(f"it is nested deeper than {self._max_depth} levels")
        if _SURROGATE.search(text):
            _require_unicode(value)
        return value

    def _no_number(self, _: str) -> None:
        self.non_numbers += 1


def _distinct(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadRecord(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _depth(value: JsonValue) -> int:
    """How deep lists and objects are nested, counted level by level."""
    depth = 0
    level = [value] if isinstance(value, list | dict) else []
    while level:
        depth += 1
        inside = (inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer))
        level = [inner for inner in inside if isinstance(inner, list | dict)]
    return depth


def _require_unicode(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRecord("a UTF-16 surrogate stands alone in it") from error
