"""Rows that teach to say "the passage does not say": a kept question under another passage that holds no answer to it.

They are made by rule and cost nothing. The other passage is one of the same document where there is one, so that it
is about the matter; it must not hold the answer, nor half of the answer's words. Such a passage may still answer in
other words, which nothing here can tell.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loquela.artifacts.corpus import Split
from loquela.core.text.facts import word_parts
from loquela.core.text.language import function_words
from loquela.data.qa.candidates import Candidate
from loquela.data.qa.chunks import Chunk
from loquela.data.qa.duplicates import fold
from loquela.data.qa.gate.checks import STEM

PASSAGES_TRIED = 4
MOST_SHARED = 0.5


@dataclass(frozen=True)
class Home:
    """Where a chunk belongs: passages are only exchanged among chunks of one split and language."""

    split: Split
    language: str | None
    source: str


@dataclass(frozen=True)
class Loan:
    """Candidate `place` of `chunk` and the passages to try it with, in order."""

    chunk: str
    place: int
    passages: tuple[str, ...]


@dataclass
class Loans:
    """All loans; `texts` fills with the passages that they name."""

    loans: list[Loan] = field(default_factory=list)
    wanted: int = 0
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def passages(self) -> set[str]:
        """The chunks whose texts are needed."""
        return {passage for loan in self.loans for passage in loan.passages}


def plan_loans(candidates: Mapping[str, list[Candidate]], homes: Mapping[str, Home], share: float, seed: int) -> Loans:
    """Which questions are lent to which passages: `share` of them, seeded, the same for the same candidates."""
    chance = random.Random(f"qa-unanswerable-{seed}")
    everything = [(chunk, place) for chunk, found in candidates.items() for place in range(len(found))]
    wanted = round(len(everything) * share)
    near: dict[Home, list[str]] = {}
    far: dict[tuple[Split, str | None], list[str]] = {}
    for chunk, home in homes.items():
        near.setdefault(home, []).append(chunk)
        far.setdefault((home.split, home.language), []).append(chunk)
    loans = Loans(wanted=wanted)
    for chunk, place in chance.sample(everything, len(everything)):
        if len(loans.loans) >= wanted * 2:
            break
        home = homes[chunk]
        choice = [other for other in near[home] if other != chunk]
        if len(choice) < PASSAGES_TRIED:
            choice = [other for other in far[home.split, home.language] if other != chunk]
        if choice:
            tried = tuple(chance.sample(choice, min(PASSAGES_TRIED, len(choice))))
            loans.loans.append(Loan(chunk, place, tried))
    return loans


def keep_texts(loans: Loans, chunks: Iterable[Chunk]) -> None:
    """Read the passages that the loans name."""
    needed = loans.passages
    for chunk in chunks:
        if chunk.document.id in needed:
            loans.texts[chunk.document.id] = chunk.text


def settled(
    loans: Loans, candidates: Mapping[str, list[Candidate]], homes: Mapping[str, Home]
) -> dict[str, dict[int, str]]:
    """Chunk → candidate's place → passage without an answer; at most as many as were wanted."""
    found: dict[str, dict[int, str]] = {}
    count = 0
    for loan in loans.loans:
        if count == loans.wanted:
            break
        answer = candidates[loan.chunk][loan.place].pair.answer
        for passage in loan.passages:
            if not may_answer(loans.texts[passage], answer, homes[loan.chunk].language):
                found.setdefault(loan.chunk, {})[loan.place] = passage
                count += 1
                break
    return found


def may_answer(passage: str, answer: str, language: str | None) -> bool:
    """Whether `passage` holds `answer`, or at least half of its informative words."""
    if fold(answer) in fold(passage):
        return True
    common = function_words(language)
    words = [word[:STEM] for word in word_parts(answer) if word not in common]
    known = {word[:STEM] for word in word_parts(passage)}
    return not words or sum(word in known for word in words) / len(words) >= MOST_SHARED
