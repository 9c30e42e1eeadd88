"""Answers → pairs → the pairs that pass the gate: what happens to one chunk's answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from loquela.data.qa.answers import MALFORMED, read_answer
from loquela.data.qa.chunks import Chunk
from loquela.data.qa.duplicates import Questions
from loquela.data.qa.gate.checks import check_pair
from loquela.data.qa.gate.evidence import Found
from loquela.data.qa.pairs import Pair, Verdict, read_pairs
from loquela.data.qa.plan import PlannedChunk
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.store import RequestStore


@dataclass(frozen=True)
class Candidate:
    """A pair that passed the gate, where its evidence stands, and what the judge says of it."""

    pair: Pair
    found: Found
    request_key: str
    verdict: Verdict | None = None


@dataclass
class Sifted:
    """The candidates by chunk id, in the order of the chunks, and what was lost on the way, by arrow and reason."""

    candidates: dict[str, list[Candidate]] = field(default_factory=dict)
    answer_losses: Counter[str] = field(default_factory=Counter)
    parse_losses: Counter[str] = field(default_factory=Counter)
    gate_losses: Counter[str] = field(default_factory=Counter)
    duplicate_losses: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    parsed: int = 0
    entries: int = 0
    passed: int = 0

    @property
    def kept(self) -> int:
        """Pairs that are left."""
        return sum(len(found) for found in self.candidates.values())


class Sieve:
    """Takes the chunks in order and keeps what may be kept."""

    def __init__(self, store: RequestStore) -> None:
        self._store = store
        self._questions = Questions()
        self.sifted = Sifted()

    def take(self, chunk: Chunk, planned: PlannedChunk, request: Request) -> None:
        """Read, check and compare the pairs of one chunk."""
        sifted = self.sifted
        value, key, fault = read_answer(self._store, request, chunk.language, read_pairs)
        if fault is not None and fault != MALFORMED:
            sifted.answer_losses[fault] += 1
            return
        sifted.answered += 1
        if value is None:
            sifted.parse_losses[MALFORMED] += 1
            return
        pairs, unreadable = value
        sifted.parsed += 1
        sifted.entries += len(pairs) + unreadable
        if unreadable:
            sifted.gate_losses["pair has not the form that was asked for"] += unreadable
        if len(pairs) > len(planned.cells):
            sifted.gate_losses["more pairs than were asked for"] += len(pairs) - len(planned.cells)
        for pair in pairs[: len(planned.cells)]:
            self._take_pair(chunk, pair, key)

    def _take_pair(self, chunk: Chunk, pair: Pair, key: str) -> None:
        sifted = self.sifted
        checked = check_pair(pair, chunk.text, chunk.language)
        if checked.reason is not None or checked.found is None:
            sifted.gate_losses[checked.reason or "evidence is not in the chunk"] += 1
            return
        sifted.passed += 1
        again = self._questions.duplicate_reason(pair.question, chunk.language)
        if again is not None:
            sifted.duplicate_losses[again] += 1
            return
        sifted.candidates.setdefault(chunk.document.id, []).append(Candidate(pair, checked.found, key))
