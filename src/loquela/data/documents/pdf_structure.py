"""Damage in a PDF that engines mend without a word: they search the file for what its tables do not tell."""

from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

TAIL_BYTES = 2048
START = re.compile(rb"startxref\s+(\d+)")
ENTRY = re.compile(rb"(\d{10}) (\d{5}) n")
STREAM = re.compile(rb"(?<!end)stream\r?\n")
NO_TEXT = re.compile(rb"/Image\b|/Length1\b|/DecodeParms|DCTDecode|/Metadata")
SUBSECTION = re.compile(rb"\s*(\d+) (\d+)\s*")
DICTIONARY_BYTES = 1000
CHECKED_BYTES = 64 << 20
CHECKED_ENTRIES = 2000
PIECE_BYTES = 1 << 20


def damage(path: Path) -> list[str]:
    """A sentence for each kind of damage found; none for a sound file."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = []
        if b"%%EOF" not in data[-TAIL_BYTES:]:
            found.append("the file does not end as a PDF does (%%EOF): its end may be missing")
        if (reason := _broken_table(data)) is not None:
            found.append(f"its cross-reference table is broken ({reason}): the pages were found by searching the file")
        if b"/Encrypt" not in data[-TAIL_BYTES:]:
            broken = sum(1 for raw in _text_streams(data) if not _inflates(raw))
            if broken:
                found.append(f"{broken} compressed part(s) are damaged: text may be missing there")
    return found


def _broken_table(data: mmap.mmap) -> str | None:
    """Why the table that the end of the file points at is not to be trusted."""
    pointers = START.findall(data[-TAIL_BYTES:])
    if not pointers:
        return "nothing points at it"
    begin = max(0, data.find(b"%PDF-", 0, TAIL_BYTES))
    offset = begin + int(pointers[-1])
    head = data[offset : offset + 40]
    if re.match(rb"\s*\d+\s+\d+\s+obj", head):
        return None
    if not re.match(rb"\s*xref", head):
        return f"there is none at byte {offset}"
    return _wrong_entry(data, data.find(b"xref", offset) + 4, begin)


def _wrong_entry(data: mmap.mmap, at: int, begin: int) -> str | None:
    """The first entry of a classic table that does not lead to its object."""
    checked = 0
    while (section := SUBSECTION.match(data[at : at + 40])) and checked < CHECKED_ENTRIES:
        first, count = int(section[1]), int(section[2])
        at += section.end()
        for number in range(first, first + min(count, CHECKED_ENTRIES)):
            entry = ENTRY.match(data[at : at + 20])
            at += 20
            checked += 1
            place = begin + int(entry[1]) if entry else 0
            if entry and not re.match(rb"\s*%d\s+%d\s+obj" % (number, int(entry[2])), data[place : place + 40]):
                return f"object {number} is not at byte {place}"
    return None


def _text_streams(data: mmap.mmap) -> Iterator[bytes]:
    """Compressed parts that are neither images nor fonts."""
    budget = CHECKED_BYTES
    for match in STREAM.finditer(data):
        before = data[max(0, match.start() - DICTIONARY_BYTES) : match.start()]
        about = before[before.rfind(b" obj") :]
        if b"FlateDecode" not in about or NO_TEXT.search(about) or about.count(b"Decode") > 1:
            continue
        end = data.find(b"endstream", match.end())
        budget -= end - match.end()
        if end < 0 or budget < 0:
            return
        yield data[match.end() : end]


def _inflates(raw: bytes) -> bool:
    """Whether a zlib stream is whole; at most PIECE_BYTES of it are in memory at a time."""
    inflater = zlib.decompressobj()
    try:
        left = raw
        while left and not inflater.eof:
            inflater.decompress(left, PIECE_BYTES)
            left = inflater.unconsumed_tail
    except zlib.error:
        return False
    return inflater.eof
