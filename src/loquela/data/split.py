"""Which documents are learnt from and which are kept out: drawn by seed, source by source, while text streams.

Each source's documents are counted off in windows of 1 / (validation + test) and one document of each window,
drawn by seed, is held out; so every source gives its share to within one document, whatever its length. (Stratified
sampling by intervals: Cochran, Sampling Techniques, 1977, chapter 8.)
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from loquela.artifacts.corpus import Lineage, Split


@dataclass(frozen=True)
class Draft:
    """A document before it has a split. Neighbours with the same source and `split_key` form one group."""

    id: str
    text: str
    source: str
    language: str | None
    split_key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    lineage: Lineage | None = None


def unit_interval(*parts: str | int) -> float:
    """A number in [0, 1) that is a function of `parts` alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Splitter:
    """Draws the split of the next group of a source; the order of groups within a source matters, nothing else."""

    def __init__(self, seed: int, validation_fraction: float, test_fraction: float) -> None:
        self.seed = seed
        self.held_out = validation_fraction + test_fraction
        self.test_share = test_fraction / self.held_out
        self._source, self._index = "", -1

    def draw(self, source: str) -> Split:
        """The split of the next group of `source`; all groups of a source come in one row."""
        index = self._index + 1 if source == self._source else 0
        self._source, self._index = source, index
        phase = unit_interval(self.seed, source, "phase")
        window = math.floor(index * self.held_out + phase)
        first = math.ceil((window - phase) / self.held_out)
        last = math.ceil((window + 1 - phase) / self.held_out) - 1
        drawn = first + math.floor(unit_interval(self.seed, source, window) * (last - first + 1))
        if index != drawn:
            return "train"
        turn = unit_interval(self.seed, source, "turn")
        is_test = math.floor((window + 1) * self.test_share + turn) > math.floor(window * self.test_share + turn)
        return "test" if is_test else "validation"


def groups(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    """Neighbours that must share a split, together."""
    group: list[Draft] = []
    for draft in drafts:
        if group and (draft.split_key is None or _key(draft) != _key(group[0])):
            yield group
            group = []
        group.append(draft)
    if group:
        yield group


def _key(draft: Draft) -> tuple[str, str | None]:
    return draft.source, draft.split_key


def assign(drafts: Iterable[Draft], splitter: Splitter) -> Iterator[tuple[Draft, Split]]:
    """Stream every document with its split, in order.

    No wanted split stays empty while there are enough documents: if the draw left one out of a tiny corpus, the last
    training groups go there.
    """
    wanted: set[Split] = {"validation"}
    if splitter.test_share > 0:
        wanted.add("test")
    waiting: deque[tuple[list[Draft], Split]] = deque()
    training_groups = 0
    for group in groups(drafts):
        split = splitter.draw(group[0].source)
        training_groups += split == "train"
        wanted.discard(split)
        waiting.append((group, split))
        while waiting and len(waiting) > len(wanted) * 2:
            yield from _released(*waiting.popleft())
    for missing in sorted(wanted, reverse=True):
        last = max((i for i, (_, split) in enumerate(waiting) if split == "train"), default=None)
        if last is not None and training_groups > 1:
            waiting[last] = (waiting[last][0], missing)
            training_groups -= 1
    for group, split in waiting:
        yield from _released(group, split)


def _released(group: list[Draft], split: Split) -> Iterator[tuple[Draft, Split]]:
    for draft in group:
        yield draft, split
