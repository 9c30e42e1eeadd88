"""Documents → units that go to one side of the split as a whole.

Joined are near duplicates, texts that their source wants together, and all documents of one text where a stratum has
texts enough to hold out whole ones. A unit is a connected component of all that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loquela.core.model import BoundaryModel
from loquela.data.split import Unit
from loquela.data.spool import Rows
from loquela.data.union import Components
from loquela.recipe.schema import DataSection

# Fewer whole texts than this in a split say little; then documents are cut from inside all texts.
LEAST_TEXTS = 5
# A unit of more documents than this, and of more than twice the share that is held out, is too large to hold out.
LARGE_UNIT = 10

SplitUnit = Literal["document", "source"]


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
    """`of` is the unit of each document, named by its first (-1 for dropped ones); `first` names `units` in order."""

    of: NDArray[np.int64]
    first: NDArray[np.int64]
    units: list[Unit]
    strata: dict[str, StratumUnits]


def form_units(
    rows: Rows, kept: NDArray[np.bool_], cluster: NDArray[np.int64], names: Mapping[int, str], section: DataSection
) -> Units:
    """Units of the documents that are `kept`; `names` are the strata by their numbers in `rows`."""
    members = np.flatnonzero(kept)
    components = Components(len(rows))
    _join_clusters(components, members, cluster)
    keyed = members[rows["split_key"][members] != 0]
    components.join_equal(rows["split_key"][keyed], keyed)
    chosen = {
        number: _choose(rows[members[rows["stratum"][members] == number]], section)
        for number in np.unique(rows["stratum"][members]).tolist()
    }
    for number, (unit, _) in chosen.items():
        if unit == "source":
            inside = members[rows["stratum"][members] == number]
            components.join_equal(rows["text"][inside], inside)
    smallest = components.smallest()
    return _described(rows, members, smallest, chosen, names, section)


def _join_clusters(components: Components, members: NDArray[np.int64], cluster: NDArray[np.int64]) -> None:
    of_members = cluster[members]
    shared = np.isin(of_members, of_members[of_members != members])
    components.join_equal(of_members[shared].astype(np.uint64), members[shared])


def _choose(rows: Rows, section: DataSection) -> tuple[SplitUnit, str]:
    """What to hold out of a stratum with these documents."""
    if section.split_unit != "auto":
        return section.split_unit, "data.split_unit"
    _, counts = np.unique(rows["text"], return_counts=True)
    if len(counts) == len(rows):
        return "document", "every text is one document"
    fractions = [share for share in (section.validation_fraction, section.test_fraction) if share > 0]
    if len(counts) * min(fractions) < LEAST_TEXTS:
        return "document", f"{len(counts)} texts are too few to hold out whole ones"
    share = section.validation_fraction + section.test_fraction
    if counts.max() > max(LARGE_UNIT, 2 * share * len(rows)):
        return "document", f"one text is {counts.max() / len(rows):.0%} of all"
    return "source", "there are texts enough to hold out whole ones"


def _described(
    rows: Rows,
    members: NDArray[np.int64],
    smallest: NDArray[np.int64],
    chosen: Mapping[int, tuple[SplitUnit, str]],
    names: Mapping[int, str],
    section: DataSection,
) -> Units:
    share = section.validation_fraction + section.test_fraction
    first, sizes = np.unique(smallest[members], return_counts=True)
    strata: dict[str, StratumUnits] = {}
    largest: dict[int, float] = {}
    for number, (held, reason) in chosen.items():
        inside = rows["stratum"][members] == number
        documents = int(inside.sum())
        largest[number] = max(LARGE_UNIT, 2 * share * documents)
        strata[names[number]] = StratumUnits(
            unit=held,
            reason=reason,
            texts=len(np.unique(rows["text"][members[inside]])),
            documents=documents,
            units=0,
        )
    units: list[Unit] = []
    for number, size in zip(rows["stratum"][first].tolist(), sizes.tolist(), strict=True):
        unit = Unit(names[number], too_large=size > largest[number])
        units.append(unit)
        strata[unit.stratum].units += 1
        strata[unit.stratum].too_large += unit.too_large
    of = np.full(len(rows), -1, dtype=np.int64)
    of[members] = smallest[members]
    return Units(of, first, units, dict(sorted(strata.items())))
