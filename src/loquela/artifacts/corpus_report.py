"""What a corpus is and how it became so, as a person reads it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from loquela.artifacts.attributes import Dropped
from loquela.artifacts.ledger import Arrow
from loquela.core.model import BoundaryModel

BINS = 24


class SignalReport(BoundaryModel):
    """One signal over all documents: `bins` count its values in equal steps from `minimum` to `maximum`."""

    name: str
    documents: int
    failed: int
    minimum: float
    mean: float
    maximum: float
    threshold: float | None
    bins: list[int]


class EncodingSummary(BoundaryModel):
    """How one object's bytes became text, where that was not plain UTF-8."""

    object: str
    encoding: str
    evidence: str
    invalid: int
    repaired: dict[str, int]
    quarantined: int


class SourceSummary(BoundaryModel):
    """What one source held."""

    name: str
    texts: int
    bytes: int
    sha256: str


class SplitSummary(BoundaryModel):
    """Size of one split."""

    documents: int
    bytes: int


class UnitSummary(BoundaryModel):
    """What was held out of one stratum as a whole, and why."""

    stratum: str
    unit: str
    reason: str
    texts: int
    documents: int
    units: int
    too_large: int


class LeakageSummary(BoundaryModel):
    """What held-out documents share with training documents (see `leakage` in the facts of the corpus)."""

    documents: int
    ngram: int
    share_looked_at: float
    sharing_any: int
    sharing_half: int
    mean_containment: float
    same_source: int


class CorpusReport(BoundaryModel):
    """Everything `loquela data report` shows."""

    corpus: Path
    digest: str
    documents: int
    bytes: int
    splits: dict[str, SplitSummary]
    languages: dict[str, int]
    sources: list[SourceSummary]
    arrows: list[Arrow]
    statuses: dict[str, int] = Field(default_factory=dict)
    signals: list[SignalReport] = Field(default_factory=list)
    dropped: list[Dropped] = Field(default_factory=list)
    objects: int = 0
    encodings: list[EncodingSummary] = Field(default_factory=list)
    quarantined: int = 0
    near_duplicate_clusters: int = 0
    near_duplicate_documents: int = 0
    largest_cluster: int = 0
    evaluation_rows: int = 0
    evaluation_rows_too_short: int = 0
    stratify_by: str = ""
    largest_unit: int = 0
    units: list[UnitSummary] = Field(default_factory=list)
    leakage: LeakageSummary | None = None
