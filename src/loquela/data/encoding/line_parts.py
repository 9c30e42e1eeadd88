"""A line that is not valid → its valid parts and the bytes between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loquela.data.encoding.names import unit_bytes
from loquela.data.encoding.report import EncodingReport, InvalidPlace

REPLACEMENT = "\ufffd"
ZERO = "a NUL character"
# Decoding is tried on windows, so that a line full of bad bytes is not copied once for each of them.
WINDOW_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LinePart:
    """Bytes [start, end) of the line; `reason` is None where they read as `text`, else why they do not."""

    start: int
    end: int
    text: str
    reason: str | None = None


def line_parts(line: bytes, encoding: str) -> list[LinePart]:
    """The parts of `line` in order; what is no text (NUL characters included) stands as U+FFFD."""
    found: list[LinePart] = []
    place = 0
    while place < len(line):
        window = line[place : place + WINDOW_BYTES]
        good, bad, reason = _first_fault(window, encoding, last=place + len(window) == len(line))
        for part in _without_zeros(window[:good], place, encoding):
            _append(found, part)
        if bad:
            found.append(LinePart(place + good, place + good + bad, REPLACEMENT, reason))
        place += good + bad
    return found


def report_bad(
    report: EncodingReport, parts: list[LinePart], raw: bytes, offset: int, line: int, action: str
) -> list[LinePart]:
    """Write the bad ones of `parts` (of `raw`, which starts at `offset`) into `report`; those parts."""
    bad = [part for part in parts if part.reason is not None]
    for part in bad:
        hexadecimal = raw[part.start : part.end].hex()
        place = InvalidPlace(
            offset=offset + part.start, line=line, bytes_hex=hexadecimal, reason=part.reason or "", action=action
        )
        report.found_invalid(place)
    return bad


def _first_fault(window: bytes, encoding: str, *, last: bool) -> tuple[int, int, str]:
    """Bytes that are good, bad bytes behind them, and why those are bad."""
    try:
        window.decode(encoding)
    except UnicodeDecodeError as error:
        if not last and error.start and error.end == len(window):
            return error.start, 0, ""  # cut by the window: the next one starts with it
        if _surrogate(window[error.start :], encoding):
            return error.start, 3, "a UTF-16 surrogate"
        return error.start, max(1, error.end - error.start), error.reason
    return len(window), 0, ""


def _surrogate(data: bytes, encoding: str) -> bool:
    """Whether `data` starts with a UTF-16 surrogate that was put into UTF-8 as if it were a character."""
    return encoding == "utf-8" and len(data) >= 3 and data[0] == 0xED and data[1] >= 0xA0 and 0x80 <= data[2] <= 0xBF


def _without_zeros(data: bytes, place: int, encoding: str) -> Iterator[LinePart]:
    unit = unit_bytes(encoding)
    zero = bytes(unit)
    start = 0
    for end in [*_zeros(data, zero), len(data)]:
        if end > start:
            yield LinePart(place + start, place + end, data[start:end].decode(encoding, "replace"))
        if end < len(data):
            yield LinePart(place + end, place + end + unit, REPLACEMENT, ZERO)
        start = end + unit


def _zeros(data: bytes, zero: bytes) -> Iterator[int]:
    place = data.find(zero)
    while place >= 0:
        if place % len(zero) == 0:
            yield place
        place = data.find(zero, place + 1)


def _append(found: list[LinePart], part: LinePart) -> None:
    """Windows may fall between CR and LF: text that goes on is one part."""
    if found and part.reason is None and found[-1].reason is None:
        before = found.pop()
        part = LinePart(before.start, part.end, before.text + part.text)
    found.append(part)
