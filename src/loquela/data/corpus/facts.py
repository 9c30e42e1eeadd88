"""What the manifest and the ledger of a corpus say."""

from __future__ import annotations

from pydantic import Field

from loquela.artifacts.ledger import Ledger
from loquela.core.model import BoundaryModel
from loquela.data.corpus.decontaminate import EvaluationRows
from loquela.data.corpus.leakage import Leakage
from loquela.data.corpus.units import StratumUnits
from loquela.data.source_contract import SourceFingerprint


class SplitCount(BoundaryModel):
    """Size of one split; bytes are UTF-8 bytes of the texts."""

    documents: int
    bytes: int


class SplitUnits(BoundaryModel):
    """What the split held together: by stratum, what was drawn; documents of the largest unit."""

    stratify_by: str
    strata: dict[str, StratumUnits]
    units: int
    largest_unit: int


class DuplicateCounts(BoundaryModel):
    """Near-duplicate clusters of two or more different texts, documents in them, and the largest."""

    clusters: int = 0
    documents: int = 0
    largest: int = 0


class CorpusFacts(BoundaryModel):
    """The manifest facts of a corpus; `sources` are the fingerprints of what it was made from, by address."""

    documents: int
    bytes: int
    languages: dict[str, int]
    splits: dict[str, SplitCount]
    sources: dict[str, SourceFingerprint]
    split_units: SplitUnits | None = None
    leakage: Leakage | None = None
    near_duplicates: DuplicateCounts = Field(default_factory=DuplicateCounts)
    evaluation_rows: EvaluationRows = Field(default_factory=EvaluationRows)
    quarantined: int = 0


class CorpusLedger(Ledger):
    """The arrows, and the checksums of what flowed through them."""

    sources: dict[str, SourceFingerprint]
