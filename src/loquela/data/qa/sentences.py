"""Sentences of a chunk as stretches of it: what questions are asked about and evidence is widened to."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARAGRAPH = re.compile(r"(?:[^\n]|\n(?![^\S\n]*\n))+")
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？]+")
_OPENING = re.compile(r"\s+[\"'“‘«¿¡(\[—-]*[A-ZÁÉÍÓÚÑÀÂÇÈÊËÎÏÔÖÜÄ0-9]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Sra|Srta|Dra|Prof|Gen|Col|Capt|Lt|Rev|Hon|vs|etc|No|Vol|Fig|cf|Ud|Vd|Da|Pág|pág"
    r"|e\.g|i\.e|p\.ej|a\.C|d\.C|U\.S|EE|EE\.UU)|(?:^|[\s(])[A-Z])\.$"
)
HEADING = re.compile(r"^#{1,6}\s+(\S.*?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True)
class Stretch:
    """`text[start:end]` of the chunk it was taken from, without white space around it."""

    start: int
    end: int
    text: str

    @property
    def line(self) -> str:
        """The same on one line."""
        return " ".join(self.text.split())


def sentences(text: str) -> list[Stretch]:
    """The sentences of `text` in order; headings and paragraphs end a sentence, abbreviations do not."""
    found: list[Stretch] = []
    for paragraph in _PARAGRAPH.finditer(text):
        start = paragraph.start()
        for line in HEADING.finditer(text, paragraph.start(), paragraph.end()):
            found.extend(_split(text, start, line.start()))
            found.extend(_stretch(text, line.start(), line.end()))
            start = line.end()
        found.extend(_split(text, start, paragraph.end()))
    return found


def around(spans: list[Stretch], start: int, end: int) -> tuple[int, int]:
    """Where the sentences that touch `start` to `end` begin and end; the one before them is with them."""
    touched = [number for number, each in enumerate(spans) if each.start < end and start < each.end]
    if not touched:
        return start, end
    first = max(0, touched[0] - 1)
    return min(start, spans[first].start), max(end, spans[touched[-1]].end)


def _split(text: str, start: int, end: int) -> list[Stretch]:
    found: list[Stretch] = []
    begin = start
    for stop in _END.finditer(text, start, end):
        following = _OPENING.match(text, stop.end(), end)
        if (following is None and text[stop.end() : end].strip()) and stop.group()[0] not in "。！？":
            continue
        if _ABBREVIATION.search(text, max(begin, stop.end() - 12), stop.end()):
            continue
        found.extend(_stretch(text, begin, stop.end()))
        begin = stop.end()
    found.extend(_stretch(text, begin, end))
    return found


def _stretch(text: str, start: int, end: int) -> list[Stretch]:
    inside = text[start:end]
    stripped = inside.strip()
    if not stripped:
        return []
    begin = start + len(inside) - len(inside.lstrip())
    return [Stretch(begin, begin + len(stripped), stripped)]
