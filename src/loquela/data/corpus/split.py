"""Which units are learnt from and which are kept out: drawn by seed, stratum by stratum, in the order of the corpus.

The units of a stratum are counted off in windows of 1 / (validation + test) and one unit of each window, drawn by
seed, is held out; so every stratum gives its share to within one unit, whatever its length. (Stratified sampling by
intervals: Cochran, Sampling Techniques, 1977, chapter 8.)
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from loquela.artifacts.corpus import SPLITS, Split


@dataclass(frozen=True)
class Unit:
    """Documents that share a side: by stratum, and whether there are too many of them to be held out."""

    stratum: str
    too_large: bool = False


def unit_interval(*parts: str | int) -> float:
    """A number in [0, 1) that is a function of `parts` alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Splitter:
    """Draws the split of the next unit of a stratum; the order of units within a stratum matters, nothing else."""

    def __init__(self, seed: int, validation_fraction: float, test_fraction: float) -> None:
        self.seed = seed
        self.held_out = validation_fraction + test_fraction
        self.test_share = test_fraction / self.held_out
        self._index: dict[str, int] = {}

    def draw(self, stratum: str) -> Split:
        """The split of the next unit of `stratum`."""
        index = self._index[stratum] = self._index.get(stratum, -1) + 1
        phase = unit_interval(self.seed, stratum, "phase")
        window = math.floor(index * self.held_out + phase)
        first = math.ceil((window - phase) / self.held_out)
        last = math.ceil((window + 1 - phase) / self.held_out) - 1
        drawn = first + math.floor(unit_interval(self.seed, stratum, window) * (last - first + 1))
        if index != drawn:
            return "train"
        turn = unit_interval(self.seed, stratum, "turn")
        is_test = math.floor((window + 1) * self.test_share + turn) > math.floor(window * self.test_share + turn)
        return "test" if is_test else "validation"


def assign(units: Iterable[Unit], splitter: Splitter) -> list[Split]:
    """The split of every unit, as `sides` says it."""
    return [SPLITS[side] for side in sides(units, splitter)]


def sides(units: Iterable[Unit], splitter: Splitter) -> bytearray:
    """The split of every unit, as a place in `SPLITS`.

    No wanted split stays empty while there are enough units: if the draw left one out of a tiny corpus, the last
    training units go there. A unit that is too large to be held out is learnt from.
    """
    found = bytearray()
    learnt, last_small = 0, deque[int](maxlen=len(SPLITS) - 1)
    for unit in units:
        split: Split = "train" if unit.too_large else splitter.draw(unit.stratum)
        if split == "train":
            learnt += 1
            if not unit.too_large:
                last_small.append(len(found))
        found.append(SPLITS.index(split))
    missing: list[Split] = ["validation", "test"] if splitter.test_share > 0 else ["validation"]
    # The last of the list takes the last training unit.
    for split in sorted((split for split in missing if SPLITS.index(split) not in found), reverse=True):
        if last_small and learnt > 1:
            found[last_small.pop()] = SPLITS.index(split)
            learnt -= 1
    return found
