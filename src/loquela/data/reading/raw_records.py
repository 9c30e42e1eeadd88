"""Bytes → records as they stand in the object, none split: lines, or the elements of a JSON array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loquela.data.reading.quarantine import MOST_BYTES


@dataclass(frozen=True, slots=True)
class RawRecord:
    """The bytes [start, end) of an object, line end included; `line` counts physical lines from 1.

    `problem` says why it is none: then `data` may hold only the beginning, and `sha256` is still of all of it.
    """

    start: int
    end: int
    line: int
    data: bytes
    sha256: str
    problem: str | None = None


def raw_record(start: int, line: int, data: bytes, problem: str | None = None) -> RawRecord:
    """The record of `data` at `start`."""
    return RawRecord(start, start + len(data), line, data, hashlib.sha256(data).hexdigest(), problem)


def raw_lines(
    chunks: Iterable[bytes], limit: int, *, start: int = 0, newline: bytes = b"\n", line: int = 1
) -> Iterator[RawRecord]:
    """The lines of `chunks`, the first of which is `line` and starts at byte `start`.

    One of more than `limit` bytes comes with a problem; no more than `limit` bytes and a chunk are held.
    """
    held, searched = b"", 0
    long: _LongLine | None = None
    for chunk in chunks:
        if long is not None:
            chunk = long.add(chunk, newline)
            if not long.ended:
                continue
            yield long.record(limit)
            start, line, long = long.end, line + 1, None
        held = held + chunk if held else chunk
        place = 0
        while (found := _line_end(held, newline, max(place, searched))) > 0:
            yield _line(held[place:found], start, line, limit)
            start, line, place, searched = start + found - place, line + 1, found, 0
        held = held[place:]
        searched = max(0, len(held) - len(newline) + 1)
        if len(held) > limit:
            long = _LongLine(start, line, held)
            held, searched = b"", 0
    if long is not None:
        yield long.record(limit)
    elif held:
        yield _line(held, start, line, limit)


def _line(data: bytes, start: int, line: int, limit: int) -> RawRecord:
    return raw_record(start, line, data, too_long(limit) if len(data) > limit else None)


def too_long(limit: int) -> str:
    """The problem of a record over the limit."""
    return f"it is longer than {limit} bytes"


def _line_end(data: bytes, newline: bytes, search_from: int) -> int:
    """Where the line ends that goes on at `search_from`; 0 when its end is not there yet."""
    place = data.find(newline, search_from)
    while place >= 0 and place % len(newline):
        place = data.find(newline, place + 1)
    return place + len(newline) if place >= 0 else 0


class _LongLine:
    """A line that is passed over: its beginning, its digest and its end are all that is kept."""

    def __init__(self, start: int, line: int, data: bytes) -> None:
        self.start = start
        self.line = line
        self.end = start
        self.ended = False
        self._head = data[:MOST_BYTES]
        self._digest = hashlib.sha256()
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self.end += len(data)

    def add(self, chunk: bytes, newline: bytes) -> bytes:
        """Take what of `chunk` belongs to the line; what is left of it."""
        place = chunk.find(newline)
        self.ended = place >= 0
        cut = place + len(newline) if self.ended else len(chunk)
        self._take(chunk[:cut])
        return chunk[cut:]

    def record(self, limit: int) -> RawRecord:
        return RawRecord(self.start, self.end, self.line, self._head, self._digest.hexdigest(), too_long(limit))
