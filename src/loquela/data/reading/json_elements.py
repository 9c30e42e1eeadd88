"""A JSON file → the elements of its top-level array, or its one value, without holding more than one of them.

Elements are found by brackets and strings alone, on bytes, so that a broken one does not hide those behind it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from loquela.data.quarantine import MOST_BYTES
from loquela.data.reading.raw_records import RawRecord, raw_record, too_long

# A whole string, a quote whose string is not whole yet, or a sign that gives structure.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
_BLANK = re.compile(rb"[ \t\r\n]*+")


class JsonElements:
    """Iterates over the elements; `between` are the bytes so far that belong to none: brackets, commas, white space.

    An element goes on while its brackets are open; when it grows over `limit` bytes, or the file ends inside it, all
    that is left becomes one record with a problem.
    """

    def __init__(self, chunks: Iterable[bytes], limit: int, *, start: int = 0, inside: bool = False) -> None:
        """`chunks` are those from byte `start` on; `inside`: that is right behind an element of the array."""
        self._chunks = iter(chunks)
        self._limit = limit
        self._inside = inside
        self._held = b""
        self._place = 0  # in `_held`: what is before it is done with
        self._offset = start  # of `_held` in the object
        self._line = 1
        self.between = 0

    def __iter__(self) -> Iterator[RawRecord]:
        self._skip_blank()
        if not self._skip(b"," if self._inside else b"[") and not self._inside:
            yield from self._single()
            return
        self._skip_blank()
        while not self._skip(b"]"):
            if not self._more():
                yield raw_record(self._offset + self._place, self._line, b"", "the array is not closed")
                return
            end, problem = self._element_end()
            if problem:
                yield self._rest(problem)
                return
            data = self._held[self._place : end].rstrip(b" \t\r\n")
            yield raw_record(self._offset + self._place, self._line, data, None if data else "an element is missing")
            self._pass(len(data))
            self._skip_blank()
            if self._skip(b","):
                self._skip_blank()
        self._skip_blank()
        if self._more():
            yield self._rest("more follows behind the closed array")

    def _single(self) -> Iterator[RawRecord]:
        """The whole file as one value."""
        while len(self._held) - self._place <= self._limit and self._pull():
            pass
        data = self._held[self._place :]
        if len(data) > self._limit:
            yield self._rest(too_long(self._limit))
        elif data.strip(b" \t\r\n"):
            yield raw_record(self._offset + self._place, self._line, data.rstrip(b" \t\r\n"))
            self._pass(len(data.rstrip(b" \t\r\n")))
            self._skip_blank()

    def _element_end(self) -> tuple[int, str | None]:
        """Where in `_held` the element ends that starts here, or why there is no end."""
        depth, place = 0, self._place
        while True:
            token = _TOKEN.search(self._held, place)
            if token is None or token[0] == b'"':
                place = (token.start() if token else len(self._held)) - self._place
                if len(self._held) - self._place > self._limit:
                    return 0, too_long(self._limit)
                if not self._grow():
                    return 0, "the file ends inside it"
                place += self._place
                continue
            if depth == 0 and token[0] in (b",", b"]", b"}"):
                return token.start(), None
            depth += (token[0] in (b"[", b"{")) - (token[0] in (b"]", b"}"))
            place = token.end()

    def _grow(self) -> bool:
        """Hold at least half as much again, so that a long string is not searched once for every chunk."""
        wanted = min((len(self._held) - self._place) * 3 // 2, self._limit)
        grown = self._pull()
        while grown and len(self._held) - self._place < wanted and self._pull():
            pass
        return grown

    def _rest(self, problem: str) -> RawRecord:
        """All that is left, of which only the beginning is kept."""
        start, line = self._offset + self._place, self._line
        head, digest = self._held[self._place : self._place + MOST_BYTES], hashlib.sha256()
        while self._more():
            digest.update(self._held[self._place :])
            self._pass(len(self._held) - self._place)
        return RawRecord(start, self._offset + self._place, line, head, problem, digest.hexdigest())

    def _skip(self, sign: bytes) -> bool:
        """Pass over `sign` if it comes next."""
        if not self._more() or not self._held.startswith(sign, self._place):
            return False
        self.between += 1
        self._pass(1)
        return True

    def _skip_blank(self) -> None:
        while self._more():
            blank = _BLANK.match(self._held, self._place)
            size = blank.end() - self._place if blank else 0
            self.between += size
            self._pass(size)
            if self._place < len(self._held):
                return

    def _more(self) -> bool:
        return self._place < len(self._held) or self._pull()

    def _pass(self, size: int) -> None:
        self._line += self._held.count(b"\n", self._place, self._place + size)
        self._place += size

    def _pull(self) -> bool:
        """Take the next chunk, and let go of what is done with."""
        for chunk in self._chunks:
            self._offset += self._place
            self._held = self._held[self._place :] + chunk
            self._place = 0
            return True
        return False
