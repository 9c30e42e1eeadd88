"""Pass 2, after `decide`: the files of the corpus, and those that tell of what is not in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loquela.artifacts.attributes import ATTRIBUTES_NAME, DROPPED_NAME, Attributes, read_dropped
from loquela.artifacts.corpus import CorpusWriter, Document
from loquela.core.atomic import atomic_path, write_text
from loquela.data.corpus.columns import BLOCK_DOCUMENTS
from loquela.data.corpus.decide import EXACT, FOLDED, KEPT, NEAR, Assembly
from loquela.data.corpus.drafts import Draft
from loquela.data.corpus.dropped import DroppedExamples
from loquela.data.corpus.leakage import Leakage, LeakageMeter
from loquela.data.tally import Tally, utf8_size

REASONS = {EXACT: "exact_duplicate", FOLDED: "folded_duplicate", NEAR: "near_duplicate"}


@dataclass
class Written:
    """What was written, for facts and ledger."""

    writer: CorpusWriter
    leakage: Leakage = field(default_factory=Leakage)
    languages: dict[str, int] = field(default_factory=dict)


def write_corpus(
    assembly: Assembly, folders: list[Path], directory: Path, tally: Tally, between_documents: Callable[[], None]
) -> Written:
    """Write documents, attributes and examples of what was dropped; `tally` counts "deduplicate" and "split"."""
    meter = LeakageMeter(assembly.held_out_bytes(), assembly.columns.directory)
    for number in assembly.held_out():
        meter.hold_out(assembly.spool.draft(number).text)
    dropped = DroppedExamples()
    for folder in folders:
        dropped.add_all(read_dropped(folder))
    with ExitStack() as files:
        written = Written(files.enter_context(CorpusWriter(directory)))
        path = files.enter_context(atomic_path(directory / ATTRIBUTES_NAME))
        attributes = files.enter_context(path.open("wb", buffering=1 << 20))
        for number, draft in enumerate(assembly.spool.drafts()):
            between_documents()
            if number % BLOCK_DOCUMENTS == 0:
                assembly.columns.release()
            found = _attributes(assembly, number, draft)
            if found is not None:
                attributes.write(found.model_dump_json(exclude_none=True).encode("utf-8") + b"\n")
            if not _counted(assembly, number, draft, tally, dropped):
                continue
            document = _document(assembly, number, draft)
            written.writer.write(document)
            language = document.language or "unknown"
            written.languages[language] = written.languages.get(language, 0) + 1
            if document.split == "train":
                meter.learn(draft.text)
        for folder in folders:
            with (folder / ATTRIBUTES_NAME).open("rb") as of_part:
                shutil.copyfileobj(of_part, attributes)
    lines = [example.model_dump_json(exclude_none=True) + "\n" for example in dropped.chosen()]
    write_text(directory / DROPPED_NAME, "".join(lines))
    written.leakage = meter.result(from_learnt_texts(assembly))
    return written


def _document(assembly: Assembly, number: int, draft: Draft) -> Document:
    grouped = assembly.in_unit(number) > 1
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


def _attributes(assembly: Assembly, number: int, draft: Draft) -> Attributes | None:
    """What is known of the document: from its part, and of its duplicates; None when that is nothing."""
    fate = int(assembly.fate[number])
    shared = assembly.in_cluster(number) > 1
    if draft.attributes is None and fate == KEPT and not shared:
        return None
    found = draft.attributes or Attributes(id=draft.id, source=draft.source)
    changes: dict[str, str | float] = {}
    if fate != KEPT:
        changes.update(reason=REASONS[fate], duplicate_of=assembly.spool.id_of(assembly.stands_for(number)))
    if shared:
        changes["cluster"] = assembly.spool.id_of(int(assembly.cluster[number]))
        if assembly.similarity[number]:
            changes["similarity"] = round(float(assembly.similarity[number]), 4)
    return found.model_copy(update=changes)


def from_learnt_texts(assembly: Assembly) -> int:
    """Held-out documents of texts of which other documents are learnt from."""
    found, text, learnt, held_out = 0, -1, False, 0
    for start, rows in assembly.spool.blocks():
        texts, place = np.unique(rows["text"], return_inverse=True)
        side = assembly.side[start : start + len(rows)]
        learnt_of = np.bincount(place[side == 0], minlength=len(texts)) > 0
        held_out_of = np.bincount(place[side > 0], minlength=len(texts))
        if int(texts[0]) == text:  # begun in the block before
            learnt_of[0] |= learnt
            held_out_of[0] += held_out
        found += int(held_out_of[:-1][learnt_of[:-1]].sum())
        if int(texts[0]) != text and learnt:
            found += held_out
        text, learnt, held_out = int(texts[-1]), bool(learnt_of[-1]), int(held_out_of[-1])
    return found + (held_out if learnt else 0)
