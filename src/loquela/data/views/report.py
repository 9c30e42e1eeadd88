"""A finished corpus → its report: facts, ledger, signals, encodings, examples of what was dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue, ValidationError

from loquela.artifacts.attributes import ENCODING_NAME, SignalValue, read_attributes, read_dropped
from loquela.artifacts.corpus import LEDGER_NAME
from loquela.artifacts.corpus_report import (
    BINS,
    CorpusReport,
    EncodingSummary,
    LeakageSummary,
    SignalReport,
    SourceSummary,
    SplitSummary,
    UnitSummary,
)
from loquela.artifacts.manifest import corrupt, read_manifest
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger
from loquela.data.encoding.report import EncodingReport


def corpus_report(directory: Path) -> CorpusReport:
    """Read everything that is known of the corpus in `directory`; DataError(CORRUPTION, …) for what cannot be read."""
    manifest = read_manifest(directory, "corpus")
    try:
        facts = CorpusFacts.model_validate(manifest.facts)
        ledger = CorpusLedger.model_validate_json((directory / LEDGER_NAME).read_bytes())
        encoding = _encodings(directory)
    except (FileNotFoundError, ValidationError) as error:
        raise corrupt(directory, f"its facts, {LEDGER_NAME} or {ENCODING_NAME} cannot be read") from error
    report = CorpusReport(
        corpus=directory,
        digest=manifest.digest,
        documents=facts.documents,
        bytes=facts.bytes,
        splits={split: SplitSummary(documents=s.documents, bytes=s.bytes) for split, s in facts.splits.items()},
        languages=facts.languages,
        sources=[
            SourceSummary(name=name, texts=found.texts, bytes=found.bytes, sha256=found.sha256)
            for name, found in facts.sources.items()
        ],
        arrows=ledger.arrows,
        dropped=read_dropped(directory),
        objects=len(encoding),
        encodings=[_summary(found) for found in encoding if not found.untouched],
        quarantined=facts.quarantined,
        near_duplicate_clusters=facts.near_duplicates.clusters,
        near_duplicate_documents=facts.near_duplicates.documents,
        largest_cluster=facts.near_duplicates.largest,
        evaluation_rows=facts.evaluation_rows.rows,
        evaluation_rows_too_short=facts.evaluation_rows.too_short,
    )
    _add_split(report, facts)
    _add_signals(report, directory)
    return report


def _add_split(report: CorpusReport, facts: CorpusFacts) -> None:
    if facts.split_units is not None:
        report.stratify_by = facts.split_units.stratify_by
        report.largest_unit = facts.split_units.largest_unit
        report.units = [
            UnitSummary(stratum=name, **found.model_dump()) for name, found in facts.split_units.strata.items()
        ]
    if facts.leakage is not None:
        report.leakage = LeakageSummary.model_validate(facts.leakage.model_dump())


def _encodings(directory: Path) -> list[EncodingReport]:
    path = directory / ENCODING_NAME
    found: JsonValue = json.loads(path.read_bytes()) if path.is_file() else {}
    objects = found.get("objects") if isinstance(found, dict) else None
    return [EncodingReport.model_validate(entry) for entry in (objects if isinstance(objects, list) else [])]


def _summary(found: EncodingReport) -> EncodingSummary:
    return EncodingSummary(
        object=found.object,
        encoding=found.encoding,
        evidence=found.evidence,
        invalid=found.invalid_count,
        repaired=found.repaired,
        quarantined=found.quarantined,
    )


@dataclass
class _Values:
    """The values of one signal while they are read."""

    threshold: float | None
    documents: int = 0
    failed: int = 0
    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    bins: list[int] = field(default_factory=lambda: [0] * BINS)

    def add(self, signal: SignalValue) -> None:
        self.documents += 1
        self.failed += not signal.passed
        self.total += signal.value
        self.minimum = min(self.minimum, signal.value)
        self.maximum = max(self.maximum, signal.value)

    def place(self, value: float) -> None:
        width = (self.maximum - self.minimum) / BINS
        self.bins[min(BINS - 1, int((value - self.minimum) / width)) if width else 0] += 1


def _add_signals(report: CorpusReport, directory: Path) -> None:
    """Read the attributes twice, so that memory does not grow with the corpus: for the ranges, then for the bins."""
    values: dict[str, _Values] = {}
    for attributes in read_attributes(directory):
        report.statuses[attributes.status] = report.statuses.get(attributes.status, 0) + 1
        for signal in attributes.signals:
            values.setdefault(signal.name, _Values(signal.threshold)).add(signal)
    if values:
        for attributes in read_attributes(directory):
            for signal in attributes.signals:
                values[signal.name].place(signal.value)
    report.signals = [
        SignalReport(
            name=name,
            documents=found.documents,
            failed=found.failed,
            minimum=found.minimum,
            mean=found.total / found.documents,
            maximum=found.maximum,
            threshold=found.threshold,
            bins=found.bins,
        )
        for name, found in sorted(values.items())
    ]
