"""Where a quote stands in its chunk: letter by letter, else but for spaces and quotation marks, else nearly."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal, Protocol

from loquela.core.extras import require
from loquela.core.text.facts import numbers

LEAST_SIMILARITY = 0.9
# A shorter quote is found everywhere and proves nothing.
SHORTEST_WORDS = 3

How = Literal["exact", "normalized", "fuzzy"]

_FOLDED = str.maketrans(
    {
        "“": '"', "”": '"', "«": '"', "»": '"', "„": '"', "‘": "'", "’": "'", "‚": "'", "`": "'", "´": "'",
        "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "−": "-", "…": "...",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """`chunk[start:end]` is the evidence; `similarity` to what was quoted, from 0 to 1."""

    start: int
    end: int
    how: How
    similarity: float


class _Alignment(Protocol):
    score: float
    dest_start: int
    dest_end: int


def find_evidence(chunk: str, quote: str) -> Found | None:
    """The stretch of `chunk` that `quote` copies; None when there is none that is similar enough.

    A similar stretch must also hold every number of the quote: one digit is a small difference and another fact.
    """
    wanted = quote.strip().strip("\"'“”«»").strip()
    if not wanted:
        return None
    start = chunk.find(wanted)
    if start >= 0:
        return Found(start, start + len(wanted), "exact", 1.0)
    folded, places = _fold(chunk)
    needle = _fold(wanted)[0].strip()
    if not needle:
        return None
    place = folded.find(needle)
    if place >= 0:
        return Found(places[place], places[place + len(needle) - 1] + 1, "normalized", 1.0)
    return _similar(chunk, folded, places, needle)


def _similar(chunk: str, folded: str, places: list[int], needle: str) -> Found | None:
    if len(needle) > len(folded):
        return None
    fuzz = require("rapidfuzz.fuzz", extra="qa", purpose="finding evidence in its chunk")
    best: _Alignment | None = fuzz.partial_ratio_alignment(needle, folded, score_cutoff=LEAST_SIMILARITY * 100)
    if best is None or best.dest_end <= best.dest_start:
        return None
    start, end = places[best.dest_start], places[best.dest_end - 1] + 1
    found = numbers(chunk[start:end])
    if any(number.isdisjoint(found.readings) for number in numbers(needle).each):
        return None
    return Found(start, end, "fuzzy", best.score / 100)


def _fold(text: str) -> tuple[str, list[int]]:
    """`text` in one case, with one kind of space, quote and dash; and the place in `text` of every character."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isspace():
            if characters and characters[-1] != " ":
                characters.append(" ")
                places.append(place)
            continue
        if unicodedata.category(character) in ("Cf", "Mn"):
            # A soft hyphen, or an accent that stands apart from its letter: `chunk` or quote may have it composed.
            if characters and unicodedata.category(character) == "Mn":
                joined = unicodedata.normalize("NFC", characters[-1] + character)
                if len(joined) == 1:
                    characters[-1] = joined
            continue
        for part in unicodedata.normalize("NFKC", character).translate(_FOLDED).casefold():
            characters.append(part)
            places.append(place)
    return "".join(characters), places
