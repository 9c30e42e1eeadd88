"""What will be asked, before anything is: how many pairs of each chunk, of which type and level.

Pairs are shared out in proportion to what the chunks say (distinct informative words), so that the end of a book is
asked about as much as its beginning; types and levels go round a shuffled grid, so that every combination comes up
equally often and no chunk is always asked the same.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loquela.data.qa.chunks import Chunk, poor_reason
from loquela.recipe.qa_section import QaSection, QuestionLevel, QuestionType

LLM_TYPES: tuple[QuestionType, ...] = ("fact", "definition", "reason", "procedure", "comparison")
OFFLINE_TYPES: tuple[QuestionType, ...] = ("fact", "definition", "cloze")
# No chunk is asked more than this many times the average: answers would begin to repeat.
LARGEST_SHARE = 3

Cell = tuple[QuestionType, QuestionLevel]


@dataclass(frozen=True)
class PlannedChunk:
    """One chunk by its id, and the type and level of each pair wanted from it."""

    id: str
    text_bytes: int
    cells: tuple[Cell, ...]


@dataclass
class Plan:
    """All of it; `skipped` counts chunks that are not asked, by reason."""

    chunks: dict[str, PlannedChunk] = field(default_factory=dict)
    read: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def pairs(self) -> int:
        """How many pairs are wanted."""
        return sum(len(chunk.cells) for chunk in self.chunks.values())


def question_types(section: QaSection) -> tuple[QuestionType, ...]:
    """The types of the recipe, else those that suit the provider."""
    if section.question_types is not None:
        return tuple(section.question_types)
    return OFFLINE_TYPES if section.provider == "offline" else LLM_TYPES


def make_plan(chunks: Iterable[Chunk], section: QaSection) -> Plan:
    """The plan of a corpus; the same chunks, section and seed give the same plan."""
    plan = Plan()
    worth: list[tuple[str, int, int]] = []
    seen: set[str] = set()
    for chunk in chunks:
        plan.read += 1
        reason = "chunk was there before" if chunk.digest in seen else poor_reason(chunk)
        if reason is None:
            seen.add(chunk.digest)
            worth.append((chunk.document.id, len(chunk.text.encode("utf-8")), chunk.informative_words))
        else:
            plan.skipped[reason] += 1
    counts = share_out([informative for _, _, informative in worth], section.pairs_per_chunk)
    cells = _Grid(question_types(section), section.levels, section.seed)
    for (name, text_bytes, _), count in zip(worth, counts, strict=True):
        plan.chunks[name] = PlannedChunk(name, text_bytes, cells.take(count))
    return plan


def share_out(sizes: Sequence[int], average: int) -> list[int]:
    """Whole numbers in proportion to `sizes`, `average` each on average, at least 1 and at most 3 times that.

    Who would get less than 1 gets 1, what is left goes to the others in proportion, by largest remainders.
    """
    most = LARGEST_SHARE * average
    exact = _proportional(sizes, average * len(sizes))
    counts = [min(most, int(share)) for share in exact]
    left = average * len(sizes) - sum(counts)
    # The largest remainder first, the earlier place where two are alike; round again while somebody may have more.
    order = sorted(range(len(sizes)), key=lambda place: (counts[place] - exact[place], place))
    while left > 0:
        for place in order:
            if left > 0 and counts[place] < most:
                counts[place] += 1
                left -= 1
    return counts


def _proportional(sizes: Sequence[int], total: int) -> list[float]:
    """`total` in proportion to `sizes`, but nobody less than 1."""
    exact = [1.0] * len(sizes)
    free = list(range(len(sizes)))
    while free:
        left = total - (len(sizes) - len(free))
        whole = sum(sizes[place] for place in free)
        enough = [place for place in free if left * sizes[place] >= whole]
        if len(enough) == len(free):
            for place in free:
                exact[place] = left * sizes[place] / whole
            break
        free = enough
    return exact


class _Grid:
    """Deals type × level combinations from a shuffled pack, and shuffles a new one when it is used up."""

    def __init__(self, types: Sequence[QuestionType], levels: Sequence[QuestionLevel], seed: int) -> None:
        self._all: list[Cell] = [(kind, level) for kind in types for level in levels]
        self._random = random.Random(f"qa-grid-{seed}")
        self._pack: list[Cell] = []

    def take(self, count: int) -> tuple[Cell, ...]:
        dealt: list[Cell] = []
        for _ in range(count):
            if not self._pack:
                self._pack = list(self._all)
                self._random.shuffle(self._pack)
            dealt.append(self._pack.pop())
        return tuple(dealt)
