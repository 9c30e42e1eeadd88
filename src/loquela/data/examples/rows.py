"""A file of examples → its rows, each with its number and line; what is no row is a fault of that row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from loquela.core.digests import digest_bytes
from loquela.core.errors import DataError, ErrorCode
from loquela.data.examples.faults import Place, RowFault

# White space as JSON has it.
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Row:
    """One row as it was read; `fault` is set where it could not be."""

    place: Place
    fields: JsonValue
    sha256: str
    fault: RowFault | None = None


class _Parser:
    """A JSON decoder that notices what the usual one swallows: keys that stand twice, NaN and infinities."""

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=self._constant)
        self._odd: RowFault | None = None

    def decode(self, text: str, start: int) -> tuple[JsonValue, int, RowFault | None]:
        """The value at `start`, where it ends, and what is odd about it; ValueError for what is not JSON."""
        self._odd = None
        try:
            value, end = self._decoder.raw_decode(text, start)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        return value, end, self._odd

    def _object(self, pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self._odd = RowFault("a key stands twice", repr(twice))
        return found

    def _constant(self, name: str) -> None:
        self._odd = RowFault("a number that is none", name)


def json_rows(source: str, text: str) -> Iterator[Row]:
    """Rows of a .json file: the items of its list, or its values one after the other.

    Raises DataError(CORRUPT_DATA) with line and column where the file stops being JSON: what follows cannot be told
    apart into rows.
    """
    parser = _Parser()
    position, line, row = _skip(text, 0), 1, 0
    listed = text.startswith("[", position)
    position += listed
    counted = 0
    while True:
        position = _skip(text, position)
        if (listed and text.startswith("]", position)) or position == len(text):
            break
        line += text.count("\n", counted, position)
        counted = position
        try:
            value, end, odd = parser.decode(text, position)
            after = _skip(text, end)
            if listed and after < len(text) and text[after] not in ",]":
                raise ValueError("a comma or the end of the list is missing behind a row")
        except ValueError as error:
            raise _damaged(source, line, row + 1, error) from error
        row += 1
        yield Row(Place(source, row, line), value, digest_bytes(text[position:end].encode("utf-8")), odd)
        position = after + (listed and text.startswith(",", after))
    if listed and not text.startswith("]", position):
        raise _damaged(source, line, row, ValueError("the list does not end: the file is cut short"))
    if listed and _skip(text, position + 1) < len(text):
        raise _damaged(source, line, row, ValueError("something follows behind the list"))


def json_line_rows(source: str, text: str) -> Iterator[Row]:
    """Rows of a .jsonl file: one value a line, blank lines left out; a damaged line costs that line."""
    parser = _Parser()
    row = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row += 1
        place, sha256 = Place(source, row, number), digest_bytes(line.encode("utf-8"))
        try:
            start = _skip(line, 0)
            value, end, odd = parser.decode(line, start)
            if line[end:].strip():
                raise ValueError("something follows behind the value")
        except ValueError as error:
            yield Row(place, None, sha256, RowFault("a line is not JSON", str(error)))
            continue
        yield Row(place, value, sha256, odd)


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _damaged(source: str, line: int, row: int, error: ValueError) -> DataError:
    if isinstance(error, json.JSONDecodeError):
        where, what = f"line {error.lineno}, column {error.colno}", error.msg
    else:
        where, what = f"row {row} (line {line})", str(error)
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{source} is not whole JSON at {where}: {what}",
        "mend the file there; a .jsonl file, one row a line, would lose that row only",
        details={"source": source, "row": row},
    )
