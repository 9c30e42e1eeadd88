"""Chunks of bytes of any size → blocks of whole lines."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

# A longer line is taken in pieces, so that memory stays flat in a file without line ends.
LONGEST_LINE = 1 << 20


class ByteFeed:
    """Hands out the bytes of `chunks` once, at most a chunk and an unfinished line at a time."""

    def __init__(self, chunks: Iterable[bytes], count: Callable[[int], None]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._count = count
        self._held = b""

    def peek(self, size: int) -> bytes:
        """At least the next `size` bytes, fewer only at the end; they stay in the feed."""
        while len(self._held) < size and self._pull():
            pass
        return self._held

    def drop(self, size: int) -> None:
        """Pass over the next `size` bytes."""
        self._held = self._held[size:]

    def blocks(self, newline: Callable[[], bytes], encoding: Callable[[], str]) -> Iterator[bytes]:
        """The rest, in whole lines; both arguments may change between two blocks."""
        more = True
        while more:
            more = self._pull()
            while end := self._block_end(newline(), encoding, more=more):
                block, self._held = self._held[:end], self._held[end:]
                yield block

    def _block_end(self, newline: bytes, encoding: Callable[[], str], *, more: bool) -> int:
        end = last_line_end(self._held, newline)
        if not end and len(self._held) >= LONGEST_LINE:
            return longest_piece(self._held, encoding())
        return end if end or more else len(self._held)

    def _pull(self) -> bool:
        for chunk in self._chunks:
            self._count(len(chunk))
            self._held = self._held + chunk if self._held else chunk
            return True
        return False


def last_line_end(data: bytes, newline: bytes) -> int:
    """Where the last whole line of `data` ends; 0 without one."""
    place = data.rfind(newline)
    while place >= 0 and place % len(newline):
        place = data.rfind(newline, 0, place + len(newline) - 1)
    return place + len(newline) if place >= 0 else 0


def lines(data: bytes, newline: bytes) -> Iterator[tuple[int, int]]:
    """The lines [start, end) of `data`, line ends included."""
    start = 0
    while start < len(data):
        place = data.find(newline, start)
        while place >= 0 and place % len(newline):
            place = data.find(newline, place + 1)
        end = place + len(newline) if place >= 0 else len(data)
        yield start, end
        start = end


def pieces_of_lines(data: bytes, newline: bytes, encoding: str) -> Iterator[tuple[int, int]]:
    """As `lines`, one that is too long in pieces."""
    for start, end in lines(data, newline):
        while end - start > LONGEST_LINE:
            size = longest_piece(data[start : start + LONGEST_LINE], encoding)
            yield start, start + size
            start += size
        yield start, end


def longest_piece(data: bytes, encoding: str) -> int:
    """Bytes of `data` up to `LONGEST_LINE` that end neither inside a character nor between CR and LF."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    text = decoder.decode(data[:LONGEST_LINE])
    end = min(len(data), LONGEST_LINE) - len(decoder.getstate()[0])
    if text.endswith("\r"):
        end -= len("\r".encode(encoding))
    return end
