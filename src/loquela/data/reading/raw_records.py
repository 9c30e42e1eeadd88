"""Bytes → records as they stand in the object, none split: lines, or the elements of a JSON array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loquela.data.encoding.feed import last_line_end, lines
from loquela.data.quarantine import MOST_BYTES


@dataclass(slots=True)
class RawRecord:
    """The bytes [start, end) of an object, line end included; `line` counts physical lines from 1.

    `problem` says why it is none: then `data` may hold only the beginning, and `digest` is of all of it.
    """

    start: int
    end: int
    line: int
    data: bytes
    problem: str | None = None
    digest: str | None = None

    @property
    def sha256(self) -> str:
        """Of the bytes [start, end), in hexadecimal."""
        return self.digest or hashlib.sha256(self.data).hexdigest()


def raw_record(start: int, line: int, data: bytes, problem: str | None = None) -> RawRecord:
    """The record of `data` at `start`."""
    return RawRecord(start, start + len(data), line, data, problem)


def raw_lines(
    chunks: Iterable[bytes], limit: int, *, start: int = 0, newline: bytes = b"\n", line: int = 1
) -> Iterator[RawRecord]:
    """The lines of `chunks`, the first of which is `line` and starts at byte `start`.

    One of more than `limit` bytes comes with a problem; no more than `limit` bytes and a chunk are held.
    """
    held = b""  # of the line that is not whole yet
    long: _LongLine | None = None
    for chunk in chunks:
        if long is not None:
            chunk = long.add(chunk, newline)
            if not long.ended:
                continue
            yield long.record(limit)
            start, line, long = long.end, line + 1, None
        held = held + chunk if held else chunk
        whole = last_line_end(held, newline)
        for data in _split(held[:whole], newline):
            size = len(data)
            yield RawRecord(start, start + size, line, data, too_long(limit) if size > limit else None)
            start, line = start + size, line + 1
        held = held[whole:]
        if len(held) > limit:
            long = _LongLine(start, line, held)
            held = b""
    if long is not None:
        yield long.record(limit)
    elif held:
        yield raw_record(start, line, held, too_long(limit) if len(held) > limit else None)


def too_long(limit: int) -> str:
    """The problem of a record over the limit."""
    return f"it is longer than {limit} bytes"


def _split(data: bytes, newline: bytes) -> Iterator[bytes]:
    """The lines of `data`, which ends with one; most of the work is one call for all of them."""
    if len(newline) == 1:
        for piece in data.split(newline)[:-1]:
            yield piece + newline
        return
    for start, end in lines(data, newline):
        yield data[start:end]


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
        return RawRecord(self.start, self.end, self.line, self._head, too_long(limit), self._digest.hexdigest())
