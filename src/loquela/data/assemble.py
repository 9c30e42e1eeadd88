"""Pass 2: finished parts → one corpus. Duplicates, clusters, units, split, leakage, and the files that tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.attributes import ATTRIBUTES_NAME, DROPPED_NAME, Attributes, read_dropped
from loquela.artifacts.corpus import CorpusWriter, Document, Split
from loquela.core.atomic import atomic_path, write_text
from loquela.data.drafts import Draft
from loquela.data.dropped import DroppedExamples
from loquela.data.duplicates import first_with_same_key
from loquela.data.leakage import Leakage, LeakageMeter
from loquela.data.near_duplicates import grams, near_duplicates
from loquela.data.parts import PartFacts
from loquela.data.split import Splitter, assign
from loquela.data.spool import Spool, number_of
from loquela.data.tally import Tally
from loquela.data.units import Units, form_units
from loquela.recipe.schema import DataSection

KEPT, EXACT, FOLDED, NEAR = 0, 1, 2, 3
REASONS = {EXACT: "exact_duplicate", FOLDED: "folded_duplicate", NEAR: "near_duplicate"}


@dataclass(frozen=True)
class Assembly:
    """What was decided about every document of `spool`, by its number.

    `fate` is `KEPT` or what it is a duplicate by, `stands_for` the document that it is a duplicate of; `cluster` is
    the first document of its near-duplicate cluster, `similarity` to the member it was matched with.
    """

    spool: Spool
    fate: NDArray[np.int8]
    stands_for: NDArray[np.int64]
    cluster: NDArray[np.int64]
    similarity: NDArray[np.float32]
    units: Units
    splits: dict[int, Split]

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


def decide(folders: list[Path], facts: list[PartFacts], section: DataSection, seed: int, scratch: Path) -> Assembly:
    """Find duplicates in all parts together, and draw the split; `scratch` is a folder for files on the way."""
    spool = Spool(folders)
    first = first_with_same_key(spool.rows)
    numbers = np.arange(len(spool), dtype=np.int64)
    fate = np.zeros(len(spool), dtype=np.int8)
    if section.duplicates.exact:
        same_id = (spool.rows["id"] == spool.rows["id"][first]).all(axis=1)
        fate = np.where(first == numbers, KEPT, np.where(same_id, EXACT, FOLDED)).astype(np.int8)
    cluster, similarity = first.copy(), np.zeros(len(spool), dtype=np.float32)
    if section.duplicates.near != "off" and len(spool):
        found = near_duplicates(
            spool.signatures(scratch / "signatures.bin"),
            numbers[first == numbers],
            section.duplicates.threshold,
            lambda number: grams(spool.draft(number).text),
        )
        cluster, similarity = found.cluster[first], found.similarity
        if section.duplicates.near == "drop":
            fate[(fate == KEPT) & (cluster != numbers)] = NEAR
    names = {number_of(name): name for part in facts for name in part.strata}
    units = form_units(spool.rows, fate == KEPT, cluster, names, section)
    drawn = assign(units.units, Splitter(seed, section.validation_fraction, section.test_fraction))
    splits = dict(zip(units.first.tolist(), drawn, strict=True))
    return Assembly(spool, fate, np.where(fate == NEAR, cluster, first), cluster, similarity, units, splits)


def write_corpus(
    assembly: Assembly, folders: list[Path], directory: Path, tally: Tally, between_documents: Callable[[], None]
) -> Written:
    """Write documents, attributes and examples of what was dropped; `tally` counts "deduplicate" and "split"."""
    meter = LeakageMeter(_held_out_bytes(assembly))
    for number in _held_out(assembly):
        meter.hold_out(assembly.spool.draft(number).text)
    dropped = DroppedExamples()
    for folder in folders:
        dropped.add_all(read_dropped(folder))
    sizes = dict(zip(*np.unique(assembly.units.of[assembly.fate == KEPT], return_counts=True), strict=True))
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
            document = _document(assembly, number, draft, grouped=bool(sizes[assembly.units.of[number]] > 1))
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


def _split(assembly: Assembly, number: int) -> Split:
    return assembly.splits[int(assembly.units.of[number])]


def _document(assembly: Assembly, number: int, draft: Draft, *, grouped: bool) -> Document:
    return Document(
        id=draft.id,
        text=draft.text,
        source=draft.source,
        language=draft.language,
        split=_split(assembly, number),
        group=assembly.spool.id_of(int(assembly.units.of[number])) if grouped else None,
        labels=draft.labels,
        lineage=draft.lineage,
    )


def _counted(assembly: Assembly, number: int, draft: Draft, tally: Tally, dropped: DroppedExamples) -> bool:
    """Whether the document is kept; counts it, and shows the examples what was dropped."""
    size = int(assembly.spool.rows["bytes"][number])
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


def _held_out(assembly: Assembly) -> Iterator[int]:
    for number in np.flatnonzero(assembly.fate == KEPT).tolist():
        if _split(assembly, number) != "train":
            yield number


def _held_out_bytes(assembly: Assembly) -> int:
    return sum(int(assembly.spool.rows["bytes"][number]) for number in _held_out(assembly))


def _from_learnt_texts(assembly: Assembly) -> int:
    """Held-out documents of texts of which other documents are learnt from."""
    rows = assembly.spool.rows
    held_out = set(_held_out(assembly))
    kept = np.flatnonzero(assembly.fate == KEPT).tolist()
    learnt = {int(rows["text"][number]) for number in kept if number not in held_out}
    return sum(int(rows["text"][number]) in learnt for number in held_out)
