"""Stretches of decoded text that know their bytes, and the map from characters back to bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SINGLE_BYTE_PREFIXES = ("cp125", "iso8859", "koi8", "mac-", "cp437", "cp85", "cp86", "cp737", "cp874")


@dataclass(frozen=True, slots=True)
class Segment:
    """The raw bytes [start, end) read as `decoded`, which is `text` once line ends are LF.

    `encoding` is None where characters do not map to bytes one by one: mended mojibake, U+FFFD. Such a segment maps as
    a whole. `reason` says why its size in UTF-8 is not that of its bytes, None where it is.
    """

    start: int
    end: int
    decoded: str
    text: str
    encoding: str | None
    reason: str | None


def segment(start: int, end: int, decoded: str, encoding: str | None, reason: str | None = None) -> Segment:
    """A segment with LF line ends; its borders must not lie between CR and LF."""
    text = decoded if "\r" not in decoded else decoded.replace("\r\n", "\n").replace("\r", "\n")
    return Segment(start, end, decoded, text, encoding, reason)


class SpanMap:
    """Answers where characters came from, in rising order, and forgets what lies before the last question."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._first = 0  # characters before the first segment that is kept
        self._end = 0  # raw byte after everything seen
        self._character = 0  # where the last answer ended inside the first segment: character of `text` …
        self._decoded = 0  # … of `decoded` …
        self._byte = 0  # … and raw byte

    def add(self, added: Segment) -> None:
        """`added` follows what was added before."""
        if added.text:
            self._segments.append(added)
            if len(self._segments) == 1:
                self._byte = added.start
        self._end = added.end

    def bytes_of(self, start: int, end: int) -> tuple[int, int]:
        """The raw bytes of the characters [start, end); of a segment that maps as a whole, all of it.

        ValueError when `start` lies before the end of an earlier question: that has been forgotten.
        """
        low = self._seek(start)
        if end <= start:
            return low, low
        self._seek(end - 1)
        first = self._segments[0]
        self._advance(end - self._first)
        return low, first.end if first.encoding is None else self._byte

    def _seek(self, character: int) -> int:
        """Go to `character`; the raw byte that it starts at."""
        while self._segments and character >= self._first + len(self._segments[0].text):
            gone = self._segments.popleft()
            self._first += len(gone.text)
            self._character = self._decoded = 0
            self._byte = self._segments[0].start if self._segments else gone.end
        if not self._segments:
            return self._end
        if character < self._first + self._character and self._segments[0].encoding is not None:
            raise ValueError(f"character {character} lies before {self._first + self._character}, asked before")
        self._advance(character - self._first)
        return self._segments[0].start if self._segments[0].encoding is None else self._byte

    def _advance(self, character: int) -> None:
        """Go to `character` of the first segment's text."""
        here = self._segments[0]
        if here.encoding is None or character <= self._character:
            return
        wanted = character - self._character
        stop = self._decoded + wanted
        if len(here.decoded) != len(here.text):  # there are CRLFs: each takes one character more
            while (more := self._decoded + wanted + _line_ends(here.decoded, self._decoded, stop)) != stop:
                stop = more
        self._byte += _size(here.decoded[self._decoded : stop], here.encoding)
        self._character, self._decoded = character, stop


def _line_ends(decoded: str, start: int, stop: int) -> int:
    """CRLFs in [start, stop), one whose LF comes next included."""
    return decoded.count("\r\n", start, stop) + (decoded[stop - 1 : stop + 1] == "\r\n")


def _size(text: str, encoding: str) -> int:
    if encoding.startswith(SINGLE_BYTE_PREFIXES) or (encoding == "utf-8" and text.isascii()):
        return len(text)
    return len(text.encode(encoding))
