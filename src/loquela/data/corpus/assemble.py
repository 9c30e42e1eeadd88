"""Pass 2: finished parts → one corpus. Duplicates, clusters, units, split, leakage, and the files that tell of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.attributes import ATTRIBUTES_NAME, DROPPED_NAME, Attributes, read_dropped
from loquela.artifacts.corpus import SPLITS, CorpusWriter, Document, Split
from loquela.core.atomic import atomic_path, write_text
from loquela.data.corpus.drafts import Draft
from loquela.data.corpus.dropped import DroppedExamples
from loquela.data.corpus.duplicates import first_with_same_key
from loquela.data.corpus.leakage import Leakage, LeakageMeter
from loquela.data.corpus.near_duplicates import grams, near_duplicates
from loquela.data.corpus.parts import PartFacts
from loquela.data.corpus.split import Splitter, assign
from loquela.data.corpus.spool import Spool, number_of
from loquela.data.corpus.units import Belonging, Units, form_units
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import DataSection

KEPT, EXACT, FOLDED, NEAR = 0, 1, 2, 3
REASONS = {EXACT: "exact_duplicate", FOLDED: "folded_duplicate", NEAR: "near_duplicate"}


@dataclass(frozen=True)
class Assembly:
    """What was decided about every document of `spool`, by its number.

    `fate` is `KEPT` or what it is a duplicate by, `stands_for` the document that it is a duplicate of; `cluster` is
    the first document of its near-duplicate cluster, `similarity` to the member it was matched with; `side` is its
    split as a place in `SPLITS`, -1 for what is dropped.
    """

    spool: Spool
    fate: NDArray[np.int8]
    stands_for: NDArray[np.int64]
    cluster: NDArray[np.int64]
    similarity: NDArray[np.float32]
    units: Units
    side: NDArray[np.int8]

    def split_of(self, number: int) -> Split:
        """The split of a document that is kept."""
        return SPLITS[int(self.side[number])]

    def held_out(self) -> NDArray[np.int64]:
        """The documents that are not learnt from."""
        return np.flatnonzero(self.side > 0)

    def largest_unit(self) -> int:
        """Documents of the largest unit."""
        kept = self.units.of[self.fate == KEPT]
        return int(np.unique(kept, return_counts=True)[1].max()) if len(kept) else 0

    def cluster_counts(self) -> dict[str, int]:
        """Clusters of two or more different texts, documents in them, documents of the largest."""
        _, sizes = np.unique(self.cluster[self.fate != EXACT], return_counts=True)
        shared = sizes[sizes > 1]
        return {
            "clusters": len(shared),
            "documents": int(shared.sum()),
            "largest": int(shared.max()) if len(shared) else 0,
        }


@dataclass
class Written:
    """What was written, for facts and ledger."""

    writer: CorpusWriter
    leakage: Leakage = field(default_factory=Leakage)
    languages: dict[str, int] = field(default_factory=dict)


def decide(folders: list[Path], facts: list[PartFacts], section: DataSection, seed: int) -> Assembly:
    """Find duplicates in all parts together, and draw the split."""
    spool = Spool(folders)
    first = first_with_same_key(spool.digests("key"))
    numbers = np.arange(len(spool), dtype=np.int64)
    fate = np.zeros(len(spool), dtype=np.int8)
    if section.duplicates.exact:
        fate[first != numbers] = EXACT
        if section.duplicates.fold:
            ids = spool.digests("id")
            fate[(ids != ids[first]).any(axis=1)] = FOLDED
    cluster, similarity = first, np.zeros(len(spool), dtype=np.float32)
    if section.duplicates.near != "off":
        found = near_duplicates(
            spool.signatures(),
            numbers[first == numbers],
            section.duplicates.threshold,
            # The first documents of a bucket are compared with all the others.
            lru_cache(maxsize=64)(lambda number: grams(spool.draft(number).text)),
        )
        cluster, similarity = found.cluster[first], found.similarity
        if section.duplicates.near == "drop":
            fate[(fate == KEPT) & (cluster != numbers)] = NEAR
    names = {number_of(name): name for part in facts for name in part.strata}
    belonging = Belonging(spool.texts(), spool.numbers("split_key"), spool.numbers("stratum"), cluster)
    units = form_units(belonging, fate == KEPT, names, section)
    drawn = assign(units.units, Splitter(seed, section.validation_fraction, section.test_fraction))
    side = np.full(len(spool), -1, dtype=np.int8)
    kept = np.flatnonzero(fate == KEPT)
    places = np.array([SPLITS.index(split) for split in drawn], dtype=np.int8)
    side[kept] = places[np.searchsorted(units.first, units.of[kept])]
    return Assembly(spool, fate, np.where(fate == NEAR, cluster, first), cluster, similarity, units, side)


def write_corpus(
    assembly: Assembly, folders: list[Path], directory: Path, tally: Tally, between_documents: Callable[[], None]
) -> Written:
    """Write documents, attributes and examples of what was dropped; `tally` counts "deduplicate" and "split"."""
    held_out = assembly.held_out().tolist()
    meter = LeakageMeter(int(assembly.spool.numbers("bytes")[held_out].sum()))
    for number in held_out:
        meter.hold_out(assembly.spool.draft(number).text)
    dropped = DroppedExamples()
    for folder in folders:
        dropped.add_all(read_dropped(folder))
    in_unit = np.bincount(assembly.units.of[assembly.fate == KEPT], minlength=len(assembly.spool))
    in_cluster = np.bincount(assembly.cluster, minlength=len(assembly.spool))
    with ExitStack() as files:
        written = Written(files.enter_context(CorpusWriter(directory)))
        path = files.enter_context(atomic_path(directory / ATTRIBUTES_NAME))
        attributes = files.enter_context(path.open("wb", buffering=1 << 20))
        for number, draft in enumerate(assembly.spool.drafts()):
            between_documents()
            found = _attributes(assembly, number, draft, shared=bool(in_cluster[assembly.cluster[number]] > 1))
            if found is not None:
                attributes.write(found.model_dump_json(exclude_none=True).encode("utf-8") + b"\n")
            if not _counted(assembly, number, draft, tally, dropped):
                continue
            document = _document(assembly, number, draft, grouped=bool(in_unit[assembly.units.of[number]] > 1))
            written.writer.write(document)
            language = document.language or "unknown"
            written.languages[language] = written.languages.get(language, 0) + 1
            if document.split == "train":
                meter.learn(draft.text)
        for folder in folders:
            attributes.write((folder / ATTRIBUTES_NAME).read_bytes())
    lines = [example.model_dump_json(exclude_none=True) + "\n" for example in dropped.chosen()]
    write_text(directory / DROPPED_NAME, "".join(lines))
    written.leakage = meter.result(_from_learnt_texts(assembly))
    return written


def _document(assembly: Assembly, number: int, draft: Draft, *, grouped: bool) -> Document:
    return Document(
        id=draft.id,
        text=draft.text,
        source=draft.source,
        language=draft.language,
        split=assembly.split_of(number),
        group=assembly.spool.id_of(int(assembly.units.of[number])) if grouped else None,
        labels=draft.labels,
        lineage=draft.lineage,
    )


def _counted(assembly: Assembly, number: int, draft: Draft, tally: Tally, dropped: DroppedExamples) -> bool:
    """Whether the document is kept; counts it, and shows the examples what was dropped."""
    size = utf8_size(draft.text)
    fate = int(assembly.fate[number])
    tally.enter("deduplicate", size, 1)
    if fate == KEPT:
        tally.leave("deduplicate", size, 1)
        tally.enter("split", size, 1)
        tally.leave("split", size, 1)
        return True
    tally.change("deduplicate", REASONS[fate], -size, -1)
    dropped.drop(draft, "deduplicate", REASONS[fate], float(assembly.similarity[number]) if fate == NEAR else None)
    return False


def _attributes(assembly: Assembly, number: int, draft: Draft, *, shared: bool) -> Attributes | None:
    """What is known of the document: from its part, and of its duplicates; None when that is nothing."""
    fate = int(assembly.fate[number])
    if draft.attributes is None and fate == KEPT and not shared:
        return None
    found = draft.attributes or Attributes(id=draft.id, source=draft.source)
    changes: dict[str, str | float] = {}
    if fate != KEPT:
        changes.update(reason=REASONS[fate], duplicate_of=assembly.spool.id_of(int(assembly.stands_for[number])))
    if shared:
        changes["cluster"] = assembly.spool.id_of(int(assembly.cluster[number]))
        if assembly.similarity[number]:
            changes["similarity"] = round(float(assembly.similarity[number]), 4)
    return found.model_copy(update=changes)


def _from_learnt_texts(assembly: Assembly) -> int:
    """Held-out documents of texts of which other documents are learnt from."""
    texts = assembly.spool.texts()
    return int(np.isin(texts[assembly.held_out()], texts[assembly.side == 0]).sum())
