"""The same question in other words of the dictionary, with the agreement that the new words ask for."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from loquela.data.examples.augment.english_dictionary import english_agreement, english_rules
from loquela.data.examples.augment.sentences import PROTECTED, in_case_of, material_start
from loquela.data.examples.augment.spanish_dictionary import spanish_agreement, spanish_rules
from loquela.data.examples.augment.variation import Variation

# How many different selections of replacements are tried for each one wanted.
TRIES = 4
_WORD_BEFORE = re.compile(r"\w+\s+$")


@dataclass(frozen=True)
class _Place:
    start: int
    end: int
    old: str
    new: str


@dataclass(frozen=True)
class _Dictionary:
    rules: list[tuple[re.Pattern[str], str]]
    agreement: Callable[[str], str]


@cache
def _dictionaries() -> dict[str, _Dictionary]:
    def compiled(rules: list[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
        return [(re.compile(pattern, re.IGNORECASE), new) for pattern, new in rules]

    return {
        "en": _Dictionary(compiled(english_rules()), english_agreement),
        "es": _Dictionary(compiled(spanish_rules()), spanish_agreement),
    }


def paraphrases(text: str, language: str, wanted: int, seed: str) -> Iterator[Variation]:
    """Up to `TRIES` × `wanted` rewordings, each with another selection of replacements; none in other languages.

    What stands in quotes, code, addresses and braces is not touched, nor is a name (a capital inside a sentence), nor
    what follows a colon or a line end: that is what the question works on.
    """
    dictionary = _dictionaries().get(language)
    places = _places(text, dictionary) if dictionary else []
    if not dictionary or not places:
        return
    draw = random.Random(seed)
    seen: set[tuple[int, ...]] = set()
    for _ in range(TRIES * wanted):
        size = draw.randint(max(1, len(places) // 2), len(places))
        chosen = tuple(sorted(draw.sample(range(len(places)), size)))
        if chosen in seen:
            continue
        seen.add(chosen)
        taken = [places[index] for index in chosen]
        rule = "dictionary:" + "+".join(place.old.lower() for place in taken)
        yield Variation(_replaced(text, taken, dictionary.agreement), rule)


def _places(text: str, dictionary: _Dictionary) -> list[_Place]:
    """Where a word of the dictionary stands; of two that overlap, the longer."""
    kept_out = [found.span() for found in PROTECTED.finditer(text)]
    kept_out.append((material_start(text), len(text)))
    found = [
        _Place(match.start(), match.end(), match.group(), new)
        for pattern, new in dictionary.rules
        for match in pattern.finditer(text)
        if not any(start < match.end() and match.start() < end for start, end in kept_out) and not _is_name(text, match)
    ]
    found.sort(key=lambda place: (place.start, -(place.end - place.start)))
    apart: list[_Place] = []
    for place in found:
        if not apart or place.start >= apart[-1].end:
            apart.append(place)
    return apart


def _is_name(text: str, match: re.Match[str]) -> bool:
    """A capital that no beginning of a sentence explains."""
    before = text[: match.start()].rstrip(" \t\"'«“(¿¡")
    begins = not before or before[-1] in ".!?:;\n…"
    return match.group()[0].isupper() and not begins and not match.group().lower().startswith("i'")


def _replaced(text: str, places: list[_Place], agreement: Callable[[str], str]) -> str:
    """The new words in their places; the word before each agrees with it, and nothing else is touched."""
    for place in reversed(places):
        before = text[: place.start]
        start = _WORD_BEFORE.search(before)
        head = start.start() if start else len(before)
        joined = agreement(before[head:] + in_case_of(place.old, place.new))
        text = before[:head] + joined + text[place.end :]
    return text
