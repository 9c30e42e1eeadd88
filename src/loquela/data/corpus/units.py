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
from loquela.data.corpus.split import Unit
from loquela.data.corpus.union import Components
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


@dataclass(frozen=True)
class Belonging:
    """What every document belongs to: its text, what its source wants together (0: nothing), stratum, cluster."""

    text: NDArray[np.uint64]
    split_key: NDArray[np.uint64]
    stratum: NDArray[np.uint64]
    cluster: NDArray[np.int64]


def form_units(found: Belonging, kept: NDArray[np.bool_], names: Mapping[int, str], section: DataSection) -> Units:
    """Units of the documents that are `kept`; `names` are the strata by their numbers."""
    members = np.flatnonzero(kept)
    components = Components(len(kept))
    of_members = found.cluster[members]
    shared = np.isin(of_members, of_members[of_members != members])
    components.join_equal(of_members[shared].astype(np.uint64), members[shared])
    keyed = members[found.split_key[members] != 0]
    components.join_equal(found.split_key[keyed], keyed)
    inside = {
        number: members[found.stratum[members] == number] for number in np.unique(found.stratum[members]).tolist()
    }
    strata: dict[str, StratumUnits] = {}
    for number, documents in inside.items():
        unit, reason, texts = _choose(found.text[documents], section)
        strata[names[number]] = StratumUnits(unit=unit, reason=reason, texts=texts, documents=len(documents), units=0)
        if unit == "source":
            components.join_equal(found.text[documents], documents)
    smallest = components.smallest()
    of = np.full(len(kept), -1, dtype=np.int64)
    of[members] = smallest[members]
    first, sizes = np.unique(of[members], return_counts=True)
    return Units(
        of, first, _described(found.stratum[first], sizes, names, strata, section), dict(sorted(strata.items()))
    )


def _choose(texts: NDArray[np.uint64], section: DataSection) -> tuple[SplitUnit, str, int]:
    """What to hold out of a stratum whose documents were cut from `texts`, why, and how many texts there are."""
    _, counts = np.unique(texts, return_counts=True)
    if section.split_unit != "auto":
        return section.split_unit, "data.split_unit", len(counts)
    if len(counts) == len(texts):
        return "document", "every text is one document", len(counts)
    fractions = [share for share in (section.validation_fraction, section.test_fraction) if share > 0]
    if len(counts) * min(fractions) < LEAST_TEXTS:
        what = "one text is" if len(counts) == 1 else f"{len(counts):,} texts are"
        return "document", f"{what} too few to hold out whole ones", len(counts)
    share = section.validation_fraction + section.test_fraction
    if counts.max() > max(LARGE_UNIT, 2 * share * len(texts)):
        return "document", f"one text is {counts.max() / len(texts):.0%} of all", len(counts)
    return "source", "there are texts enough to hold out whole ones", len(counts)


def _described(
    strata_of: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    names: Mapping[int, str],
    strata: dict[str, StratumUnits],
    section: DataSection,
) -> list[Unit]:
    """The units by their first documents' strata and sizes; counts them in `strata`."""
    share = section.validation_fraction + section.test_fraction
    # Few different ones: as many objects as there are strata, not as there are units.
    small = {number: Unit(names[number]) for number in np.unique(strata_of).tolist()}
    large = {number: Unit(names[number], too_large=True) for number in small}
    units: list[Unit] = []
    for number, size in zip(strata_of.tolist(), sizes.tolist(), strict=True):
        stratum = strata[names[number]]
        too_large = size > max(LARGE_UNIT, 2 * share * stratum.documents)
        units.append((large if too_large else small)[number])
        stratum.units += 1
        stratum.too_large += too_large
    return units
