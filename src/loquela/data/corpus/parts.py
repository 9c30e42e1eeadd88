"""Pass 1: sources → parts, each read, decoded, cut, normalised, validated and decontaminated on its own.

A part is an entry of `data.sources`, or a group of the objects of one. Nothing in a part depends on another, so parts
may be made in any order, anywhere, and are the same bytes.

part/
  drafts.jsonl, rows.bin, signatures.bin   see `spool`
  attributes.jsonl                         of documents that were dropped here
  encoding.jsonl                           an `EncodingReport` for each object
  dropped.jsonl, quarantine.jsonl          see `artifacts.attributes`
  part.json                                `PartFacts`, written last: from then on the part exists
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from pydantic import Field

from loquela.artifacts.attributes import ATTRIBUTES_NAME, DROPPED_NAME, Attributes
from loquela.artifacts.ledger import Arrow
from loquela.core.atomic import atomic_path, write_json, write_text
from loquela.core.model import BoundaryModel
from loquela.data.access.source_registry import source_for
from loquela.data.corpus.decontaminate import Decontaminator, EvaluationRows
from loquela.data.corpus.drafts import Draft, document_id, drafts
from loquela.data.corpus.dropped import DroppedExamples
from loquela.data.corpus.duplicates import folded
from loquela.data.corpus.judging import Judge
from loquela.data.corpus.near_duplicates import grams, signature
from loquela.data.corpus.spool import SpoolWriter
from loquela.data.encoding.report import EncodingReport
from loquela.data.quarantine import Quarantine
from loquela.data.source_contract import DividedSource, SourceRequest
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import DataSection

PART_NAME, ENCODING_LINES_NAME = "part.json", "encoding.jsonl"
# Small enough that a part lost with its machine is soon made again, large enough that files are read in long runs.
PART_BYTES = 64 << 20
UNKNOWN_LANGUAGE = "unknown"
LABEL, NO_LABEL = "label:", "(none)"


class Part(BoundaryModel):
    """What one part reads: an entry of `data.sources` by its place, and some of its objects (None: all)."""

    number: int
    entry: int
    objects: tuple[str, ...] | None = None


class PartFacts(BoundaryModel):
    """What came out of a part; `strata` are the names whose numbers stand in `rows.bin`."""

    number: int
    documents: int
    arrows: list[Arrow]
    strata: list[str]
    looked_for: EvaluationRows = Field(default_factory=EvaluationRows)


def plan_parts(section: DataSection, downloads: Path, seed: int) -> list[Part]:
    """The parts of a corpus in order; how many there are depends on the sources alone."""
    parts: list[Part] = []
    for place, entry in enumerate(section.entries):
        source = source_for(entry.address)
        request = SourceRequest(entry, section, downloads, seed)
        groups: list[tuple[str, ...] | None] = [None]
        if isinstance(source, DividedSource):
            groups = [*_groups([(found.name, found.size_bytes) for found in source.objects(request)])] or [None]
        parts.extend(Part(number=len(parts) + n, entry=place, objects=group) for n, group in enumerate(groups))
    return parts


def _groups(objects: Sequence[tuple[str, int | None]]) -> Iterator[tuple[str, ...]]:
    """Neighbouring objects, together at most `PART_BYTES` unless one alone is larger; of unknown size: one alone."""
    group: list[str] = []
    held = 0
    for name, size in objects:
        size = PART_BYTES if size is None else size
        if group and held + size > PART_BYTES:
            yield tuple(group)
            group, held = [], 0
        group.append(name)
        held += size
    if group:
        yield tuple(group)


def run_part(
    part: Part,
    section: DataSection,
    downloads: Path,
    seed: int,
    directory: Path,
    between_documents: Callable[[], None] = lambda: None,
) -> PartFacts:
    """Fill `directory` with the part; `between_documents` may raise to stop.

    Raises what the source raises, DataError for an evaluation file that cannot be read, ResourceError when writing
    fails.
    """
    work = _PartWork(part, section, directory)
    request = SourceRequest(
        section.entries[part.entry],
        section,
        downloads,
        seed,
        quarantine=Quarantine(directory),
        report=work.report,
        objects=part.objects,
    )
    with work:
        for number, text in enumerate(source_for(request.address).read(request, work.tally)):
            for draft in drafts(text, number, section, work.tally):
                between_documents()
                work.take(draft)
    facts = work.facts()
    write_json(directory / PART_NAME, facts.model_dump(mode="json"))
    return facts


class _PartWork:
    """One part while it is made."""

    def __init__(self, part: Part, section: DataSection, directory: Path) -> None:
        self.part = part
        self.section = section
        self.entry = section.entries[part.entry].key
        self.directory = directory
        self.tally = Tally()
        self.strata: set[str] = set()
        self.dropped = DroppedExamples()
        self.judge = Judge(section.validation)
        self.decontaminator = Decontaminator(section.decontaminate)
        self.spool = SpoolWriter(directory)
        self._files = ExitStack()

    def __enter__(self) -> None:
        attributes, encoding = (
            self._files.enter_context(atomic_path(self.directory / name))
            for name in (ATTRIBUTES_NAME, ENCODING_LINES_NAME)
        )
        self._attributes = self._files.enter_context(attributes.open("wb", buffering=1 << 20))
        self._encoding = self._files.enter_context(encoding.open("wb"))
        self._files.enter_context(self.spool)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)

    def report(self, found: EncodingReport) -> None:
        """Record how the bytes of one object became text."""
        self._encoding.write(found.model_dump_json().encode("utf-8") + b"\n")

    def take(self, draft: Draft) -> None:
        """Judge one document, and keep it or record why not."""
        judged = self.judge.judge(draft, self.tally)
        if judged.reason is not None:
            self._drop(judged.draft, judged.size_bytes, "validate", judged.reason, judged.value, judged.threshold)
            return
        cleaned = self._decontaminated(judged.draft)
        if cleaned is None:
            return
        self.strata.add(stratum_of(cleaned, self.entry, self.section))
        near = self.section.duplicates.near != "off"
        self.spool.write(
            cleaned,
            utf8_size(cleaned.text),
            document_id(folded(cleaned.text)) if self.section.duplicates.fold else cleaned.id,
            self.entry,
            stratum_of(cleaned, self.entry, self.section),
            signature(grams(cleaned.text)) if near else None,
        )

    def _decontaminated(self, draft: Draft) -> Draft | None:
        size = utf8_size(draft.text)
        self.tally.enter("decontaminate", size, 1)
        overlap = self.decontaminator.overlap(draft.text)
        if overlap is None:
            self.tally.leave("decontaminate", size, 1)
            return draft
        if self.section.decontaminate.action == "drop" or not overlap.redacted.strip():
            self._drop(draft, size, "decontaminate", "evaluation_text", overlap.matches / overlap.ngrams, 0.0)
            return None
        after = utf8_size(overlap.redacted)
        self.tally.change("decontaminate", "evaluation_text_redacted", after - size)
        self.tally.leave("decontaminate", after, 1)
        changed = (draft.attributes or Attributes(id=draft.id, source=draft.source)).model_copy(deep=True)
        changed.changes["evaluation_text_redacted"] = after - size
        changed.id = document_id(overlap.redacted)
        return draft.model_copy(update={"id": changed.id, "text": overlap.redacted, "attributes": changed})

    def _drop(
        self, draft: Draft, size_bytes: int, arrow: str, reason: str, value: float | None, threshold: float | None
    ) -> None:
        self.tally.change(arrow, reason, -size_bytes, -1)
        self.dropped.drop(draft, arrow, reason, value, threshold)
        known = draft.attributes or Attributes(id=draft.id, source=draft.source)
        line = known.model_copy(update={"reason": reason}).model_dump_json(exclude_none=True)
        self._attributes.write(line.encode("utf-8") + b"\n")

    def facts(self) -> PartFacts:
        """The facts of the finished part; writes the examples of what was dropped."""
        lines = [dropped.model_dump_json(exclude_none=True) + "\n" for dropped in self.dropped.chosen()]
        write_text(self.directory / DROPPED_NAME, "".join(lines))
        return PartFacts(
            number=self.part.number,
            documents=self.spool.documents,
            arrows=self.tally.arrows(),
            strata=sorted(self.strata),
            looked_for=self.decontaminator.looked_for,
        )


def stratum_of(draft: Draft, entry: str, section: DataSection) -> str:
    """Which of the strata of `data.stratify_by` the document belongs to."""
    if section.stratify_by == "source":
        return entry
    if section.stratify_by == "language":
        return draft.language or UNKNOWN_LANGUAGE
    return draft.labels.get(section.stratify_by.removeprefix(LABEL), NO_LABEL)
