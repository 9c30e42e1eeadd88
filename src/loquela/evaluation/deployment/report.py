"""What a check found: `deploy_report.json`, proven by its own digest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field, ValidationError

from loquela.artifacts.bundle import ExportFormat, Quantization, RuntimeName
from loquela.core.digests import digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.evaluation.deployment.job import GoldenOutcome
from loquela.recipe.deploy_section import DeploySection

REPORT_NAME = "deploy_report.json"
PAGE_NAME = "deploy_report.html"
REQUESTS_NAME = "requests.jsonl"

FigureName = Literal[
    "latency_mean_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
    "ttft_mean_ms", "ttft_p50_ms", "ttft_p95_ms", "ttft_p99_ms",
    "token_gap_mean_ms", "token_gap_p50_ms", "token_gap_p95_ms", "token_gap_p99_ms",
    "requests_per_second", "tokens_per_second", "generation_tokens_per_second",
    "error_rate", "goodput", "cold_start_seconds", "loaded_mb", "rss_mb", "peak_mb",
]  # fmt: skip


class Figure(BoundaryModel):
    """One number over the repeats: the median, the least and the most."""

    name: FigureName
    median: float
    low: float
    high: float


class Machine(BoundaryModel):
    """Where it was measured; numbers of two machines are not compared."""

    processor: str
    cores: int
    memory_mb: int
    system: str
    python: str


class Verdict(BoundaryModel):
    """One requirement: what was measured, what is required, whether it holds; `key` is the recipe's."""

    key: str
    figure: str
    measured: float
    limit: float
    relation: Literal["at most", "at least"]
    met: bool

    def sentence(self) -> str:
        """For people."""
        return f"{self.figure} is {self.measured:.4g}, {self.key} asks for {self.relation} {self.limit:g}"


class Comparison(BoundaryModel):
    """One figure beside that of the promoted bundle; `worse_by` is a share, negative where this one is better."""

    figure: FigureName
    here: Figure
    promoted: Figure
    worse_by: float
    regressed: bool


class Baseline(BoundaryModel):
    """The promoted bundle: measured in turns with this one, or, where it is gone, as it was recorded."""

    bundle: str
    bundle_digest: str
    measured: Literal["now", "when it was promoted"]
    comparisons: list[Comparison]


class DeployReport(BoundaryModel):
    """Everything about one check; `record_digest` is the SHA-256 over every other field."""

    format_version: int = 1
    validation_id: UUID = Field(default_factory=uuid4)
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    bundle: str
    bundle_digest: str
    format: ExportFormat
    quantization: Quantization
    scheme: str
    runtime: RuntimeName
    parameters: int
    size_mb: float
    requirements: DeploySection
    machine: Machine
    rate_per_second: float
    requests: int
    golden: GoldenOutcome
    figures: list[Figure]
    verdicts: list[Verdict]
    baseline: Baseline | None = None
    promoted_then: str = Field("", description="digest of the promotion in force when the check began; empty: none")
    failures: list[str]
    notes: list[str] = Field(default_factory=list)
    passed: bool
    record_digest: str = ""

    def own_digest(self) -> str:
        """What `record_digest` must be."""
        return digest_json(self.model_dump(mode="json", exclude={"record_digest"}))

    def figure(self, name: FigureName) -> Figure:
        """The figure called `name`."""
        return next(figure for figure in self.figures if figure.name == name)


def read_report(path: Path) -> DeployReport:
    """The report at `path`, proven by its digest; DataError: DATASET_NOT_FOUND or CORRUPTION."""
    try:
        report = DeployReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"there is no report of a check: {path}",
            "check the bundle first: loquela deploy-check BUNDLE",
        ) from error
    except (OSError, ValidationError) as error:
        raise _changed(path, "it cannot be read as one") from error
    if report.record_digest != report.own_digest():
        raise _changed(path, "its own digest says that it was changed")
    return report


def _changed(path: Path, why: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPTION,
        f"{path} is not the report that a check wrote: {why}",
        "check the bundle again: loquela deploy-check BUNDLE",
    )
