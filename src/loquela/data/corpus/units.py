"""Documents → units that go to one side of the split as a whole.

Joined are near duplicates, texts that their source wants together, and all documents of one text where a stratum has
texts enough to hold out whole ones. A unit is a connected component of all that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loquela.core.model import BoundaryModel
from loquela.data.corpus.columns import Columns
from loquela.data.corpus.prefixes import prefixes
from loquela.data.corpus.split import Splitter, Unit, sides
from loquela.data.corpus.spool import Spool
from loquela.data.corpus.strata import names_without_places
from loquela.data.corpus.union import Components
from loquela.recipe.schema import DataSection

# Fewer whole texts than this in a split say little; then documents are cut from inside all texts.
LEAST_TEXTS = 5
# A unit of more documents than this, and of more than twice the share that is held out, is too large to hold out.
LARGE_UNIT = 10

SplitUnit = Literal["document", "source"]
Sides = NDArray[np.int8]


class StratumUnits(BoundaryModel):
    """What is held out of one stratum as a whole, and why."""

    unit: SplitUnit
    reason: str
    texts: int
    documents: int
    units: int
    too_large: int = 0


@dataclass(frozen=True)
class Units:
    """`of` is the unit of each document, named by its first (-1 for dropped ones); `sizes` are those of the units.

    `count` is how many units there are.
    """

    of: NDArray[np.int64]
    sizes: NDArray[np.int64]
    count: int
    strata: dict[str, StratumUnits]


class UnitFormer:
    """Forms the units of the documents of `spool` that are kept; `names` are the strata by their numbers."""

    def __init__(self, spool: Spool, columns: Columns, names: Mapping[int, str], section: DataSection) -> None:
        self._spool = spool
        self._columns = columns
        self._names = names
        self._section = section
        self._held_out = section.validation_fraction + section.test_fraction

    def form(self, kept: NDArray[np.bool_], cluster: NDArray[np.int64], splitter: Splitter) -> tuple[Units, Sides]:
        """The units, and the split of each document as a place in `SPLITS`, -1 for dropped ones.

        `cluster` names the first of those that each document is a near duplicate of, which is kept.
        """
        parent = self._columns.make(np.int64)
        for here in self._columns.blocks():
            parent[here] = np.where(kept[here], cluster[here], np.arange(here.start, here.stop))
        components = Components(parent)
        self._join_split_keys(components, kept)
        strata = self._join_texts(components, kept)
        of = components.smallest()
        for here in self._columns.blocks():
            of[here][~kept[here]] = -1
        sizes = self._columns.group_sizes(of, lambda here: kept[here])
        drawn = np.frombuffer(sides(self._units(of, sizes, strata), splitter), dtype=np.int8)
        units = Units(of, sizes, len(drawn), dict(sorted(strata.items())))
        return units, self._spread(of, drawn)

    def _join_split_keys(self, components: Components, kept: NDArray[np.bool_]) -> None:
        """Join texts that their source wants together."""
        for prefix in prefixes(self._columns.count):
            keys, members = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
            for start, rows in self._spool.blocks():
                found = rows["split_key"]
                chosen = prefix.of(found)
                chosen = chosen[(found[chosen] != 0) & kept[start + chosen]]
                keys.append(found[chosen])
                members.append(start + chosen)
            components.join_equal(np.concatenate(keys), np.concatenate(members))
            self._columns.release()

    def _join_texts(self, components: Components, kept: NDArray[np.bool_]) -> dict[str, StratumUnits]:
        """Join all documents of one text in the strata that hold out whole ones; what is held out of each."""
        counts: dict[int, TextRuns] = {}
        for number, members, texts in self._by_stratum(kept):
            counts.setdefault(number, TextRuns()).add(members, texts)
        strata: dict[str, StratumUnits] = {}
        whole: dict[int, TextRuns] = {}
        for number, runs in sorted(counts.items()):
            unit, reason = _choose(runs, self._section)
            strata[self._names[number]] = StratumUnits(
                unit=unit, reason=reason, texts=runs.texts, documents=runs.documents, units=0
            )
            if unit == "source":
                whole[number] = TextRuns()
        if whole:
            for number, members, texts in self._by_stratum(kept):
                if number in whole:
                    for first, second in whole[number].add(members, texts):
                        components.join(first, second)
        return strata

    def _by_stratum(self, kept: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]:
        """The kept documents of every stratum and the texts they were cut from, some at a time, in order."""
        for start, rows in self._spool.blocks():
            members = np.flatnonzero(kept[start : start + len(rows)])
            of = rows["stratum"][members]
            for number in np.unique(of).tolist():
                chosen = members[of == number]
                yield number, start + chosen, rows["text"][chosen]
            self._columns.release()

    def _units(
        self, of: NDArray[np.int64], sizes: NDArray[np.int64], strata: dict[str, StratumUnits]
    ) -> Iterator[Unit]:
        """The units in the order of their first documents; counts them in `strata`."""
        # As many objects as there are strata, not as there are units.
        names = names_without_places(self._names.values())
        small = {number: Unit(names[name]) for number, name in self._names.items()}
        large = {number: Unit(names[name], too_large=True) for number, name in self._names.items()}
        for start, rows in self._spool.blocks():
            here = slice(start, start + len(rows))
            first = np.flatnonzero(of[here] == np.arange(here.start, here.stop))
            for number, size in zip(rows["stratum"][first].tolist(), sizes[here][first].tolist(), strict=True):
                stratum = strata[self._names[number]]
                too_large = size > max(LARGE_UNIT, 2 * self._held_out * stratum.documents)
                stratum.units += 1
                stratum.too_large += too_large
                yield (large if too_large else small)[number]
            self._columns.release()

    def _spread(self, of: NDArray[np.int64], drawn: Sides) -> Sides:
        """From the sides of the units in order to those of all documents."""
        side = self._columns.make(np.int8)
        done = 0
        for here in self._columns.blocks():
            units = of[here]
            first = units == np.arange(here.start, here.stop)
            behind = done + int(np.count_nonzero(first))
            side[here][first] = drawn[done:behind]
            # A unit is named by its first document, so its side is known by now.
            side[here] = np.where(units >= 0, side[units], -1)
            done = behind
        return side


class TextRuns:
    """Documents that come in the order of their texts: how many, of how many texts, and of the largest."""

    def __init__(self) -> None:
        self.documents = self.texts = self.largest = 0
        self._text = self._member = self._length = -1

    def add(self, members: NDArray[np.int64], texts: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """Go on with at least one document; the pairs of neighbours that are of one text."""
        goes_on = int(texts[0]) == self._text
        same = np.flatnonzero(texts[1:] == texts[:-1])
        pairs = [(self._member, int(members[0]))] if goes_on else []
        pairs.extend(zip(members[same].tolist(), members[same + 1].tolist(), strict=True))
        _, lengths = np.unique(texts, return_counts=True)
        if goes_on:
            lengths[0] += self._length
        self.documents += len(texts)
        self.texts += len(lengths) - goes_on
        self.largest = max(self.largest, int(lengths.max()))
        self._text, self._member, self._length = int(texts[-1]), int(members[-1]), int(lengths[-1])
        return pairs


def _choose(runs: TextRuns, section: DataSection) -> tuple[SplitUnit, str]:
    """What to hold out of a stratum with these documents and texts, and why."""
    if section.split_unit != "auto":
        return section.split_unit, "data.split_unit"
    if runs.texts == runs.documents:
        return "document", "every text is one document"
    fractions = [share for share in (section.validation_fraction, section.test_fraction) if share > 0]
    if runs.texts * min(fractions) < LEAST_TEXTS:
        what = "one text is" if runs.texts == 1 else f"{runs.texts:,} texts are"
        return "document", f"{what} too few to hold out whole ones"
    share = section.validation_fraction + section.test_fraction
    if runs.largest > max(LARGE_UNIT, 2 * share * runs.documents):
        return "document", f"one text is {runs.largest / runs.documents:.0%} of all"
    return "source", "there are texts enough to hold out whole ones"
