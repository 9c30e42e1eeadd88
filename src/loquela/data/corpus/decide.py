"""What becomes of every document of finished parts: duplicates, clusters, units and sides, all found on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.corpus import SPLITS, Split
from loquela.data.corpus.columns import Columns
from loquela.data.corpus.duplicates import first_with_same_key
from loquela.data.corpus.near_duplicates import NearDuplicates, grams, near_duplicates
from loquela.data.corpus.parts import PartFacts
from loquela.data.corpus.prefixes import prefixes
from loquela.data.corpus.split import Splitter
from loquela.data.corpus.spool import Spool, number_of
from loquela.data.corpus.units import Sides, UnitFormer, Units
from loquela.recipe.duplicates_section import DuplicatesSection
from loquela.recipe.schema import DataSection

KEPT, EXACT, FOLDED, NEAR = 0, 1, 2, 3


@dataclass(frozen=True)
class Assembly:
    """What was decided about every document of `spool`, by its number, in `columns`.

    `fate` is `KEPT` or what it is a duplicate by, `first` the first document with its key; `cluster` is the first
    document of its near-duplicate cluster, of `cluster_sizes` documents, `similarity` to the member it was matched
    with; `side` is its split as a place in `SPLITS`, -1 for what is dropped.
    """

    spool: Spool
    columns: Columns
    fate: NDArray[np.int8]
    first: NDArray[np.int64]
    cluster: NDArray[np.int64]
    cluster_sizes: NDArray[np.int64]
    similarity: NDArray[np.float32]
    units: Units
    side: Sides

    def split_of(self, number: int) -> Split:
        """The split of a document that is kept."""
        return SPLITS[int(self.side[number])]

    def stands_for(self, number: int) -> int:
        """The document that a dropped one is a duplicate of."""
        return int((self.cluster if self.fate[number] == NEAR else self.first)[number])

    def in_cluster(self, number: int) -> int:
        """Documents of the cluster of document `number`, its exact duplicates with them."""
        return int(self.cluster_sizes[self.cluster[number]])

    def in_unit(self, number: int) -> int:
        """Documents of the unit of a document that is kept."""
        return int(self.units.sizes[self.units.of[number]])

    def held_out(self) -> Iterator[int]:
        """The documents that are not learnt from."""
        for here in self.columns.blocks():
            yield from (here.start + np.flatnonzero(self.side[here] > 0)).tolist()

    def held_out_bytes(self) -> int:
        """UTF-8 bytes of the texts of the documents that are not learnt from."""
        return sum(
            int(rows["bytes"][self.side[start : start + len(rows)] > 0].sum()) for start, rows in self.spool.blocks()
        )

    def largest_unit(self) -> int:
        """Documents of the largest unit."""
        return max((int(self.units.sizes[here].max()) for here in self.columns.blocks()), default=0)

    def cluster_counts(self) -> dict[str, int]:
        """Clusters of two or more different texts, documents in them, documents of the largest."""
        sizes = self.columns.group_sizes(self.cluster, lambda here: self.fate[here] != EXACT)
        counts = {"clusters": 0, "documents": 0, "largest": 0}
        for here in self.columns.blocks():
            shared = sizes[here][sizes[here] > 1]
            counts["clusters"] += len(shared)
            counts["documents"] += int(shared.sum())
            counts["largest"] = max(counts["largest"], int(shared.max(initial=0)))
        return counts


def decide(folders: list[Path], facts: list[PartFacts], section: DataSection, seed: int, scratch: Path) -> Assembly:
    """Find duplicates in all parts together, and draw the split; the columns lie in `scratch`.

    Raises ResourceError (DISK_FULL, …) when there is no room for them.
    """
    spool = Spool(folders)
    columns = Columns(scratch, len(spool))
    first, fate = _exact_duplicates(spool, columns, section.duplicates)
    found = _near_duplicates(spool, columns, first, section.duplicates)
    kept = columns.make(np.bool_)
    for here in columns.blocks():
        if section.duplicates.near == "drop":
            later = found.cluster[here] != np.arange(here.start, here.stop)
            fate[here][(fate[here] == KEPT) & later] = NEAR
        kept[here] = fate[here] == KEPT
    names = {number_of(name): name for part in facts for name in part.strata}
    splitter = Splitter(seed, section.validation_fraction, section.test_fraction)
    units, side = UnitFormer(spool, columns, names, section).form(kept, found.cluster, splitter)
    sizes = columns.group_sizes(found.cluster, lambda here: np.ones(here.stop - here.start, dtype=np.bool_))
    return Assembly(spool, columns, fate, first, found.cluster, sizes, found.similarity, units, side)


def _exact_duplicates(
    spool: Spool, columns: Columns, section: DuplicatesSection
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """The first document with the key of each, and what becomes of the others."""
    first, fate = columns.numbers(), columns.make(np.int8)
    for prefix in prefixes(len(spool)):
        keys, ids = [np.zeros((0, 2), dtype=np.uint64)], [np.zeros((0, 2), dtype=np.uint64)]
        places = [np.zeros(0, dtype=np.int64)]
        for start, rows in spool.blocks():
            chosen = prefix.of(rows["key"][:, 0])
            keys.append(rows["key"][chosen])
            ids.append(rows["id"][chosen])
            places.append(start + chosen)
        numbers, texts = np.concatenate(places), np.concatenate(ids)
        same = first_with_same_key(np.concatenate(keys))
        first[numbers] = numbers[same]
        if section.exact:
            fate[numbers[same != np.arange(len(same))]] = EXACT
            if section.fold:
                fate[numbers[(texts != texts[same]).any(axis=1)]] = FOLDED
        columns.release()
    return first, fate


def _near_duplicates(
    spool: Spool, columns: Columns, first: NDArray[np.int64], section: DuplicatesSection
) -> NearDuplicates:
    """Clusters of the first documents with their keys, and of the others with these."""
    if section.near == "off":
        return NearDuplicates(first, columns.make(np.float32))
    eligible = columns.make(np.int64)
    count = 0
    for here in columns.blocks():
        leaders = here.start + np.flatnonzero(first[here] == np.arange(here.start, here.stop))
        eligible[count : count + len(leaders)] = leaders
        count += len(leaders)
    found = near_duplicates(
        spool.signatures(),
        eligible[:count],
        section.threshold,
        # The first documents of a bucket are compared with all the others.
        lru_cache(maxsize=64)(lambda number: grams(spool.draft(number).text)),
        columns,
    )
    for here in columns.blocks():
        found.cluster[here] = found.cluster[first[here]]
    return found
