"""The final artifact of a fine-tuning: the adapter with everything that is known about it, to be handed on.

final_artifact/
  adapter_config.json, adapter_model.safetensors    or, of a full fine-tuning, a whole model folder
  base.json, tokenizer files, chat_template.jinja
  metadata.json            `ArtifactMetadata`: from what, how, with what outcome
  training_config.yaml     the recipe of the run, every value written out
  training_metrics.json    losses and times
  preflight.json           every proof before, during and after the training
  effective_settings.json  what was asked for beside what held
  evaluation.json          base against adapter, where the run compared them
  merge_report.json        where the run merged
  README.md                for people; made from metadata.json
  checksums.json           SHA-256 of every file
  manifest.json            kind "final_artifact", last
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from loquela.artifacts.examples_ledger import SplitCount
from loquela.artifacts.manifest import corrupt
from loquela.core.model import BoundaryModel
from loquela.recipe.finetune_section import FinetuneMethod, FinetuneTask

KIND = "final_artifact"
METADATA_NAME = "metadata.json"
CONFIG_NAME = "training_config.yaml"
METRICS_NAME = "training_metrics.json"
PREFLIGHT_NAME = "preflight.json"
EVALUATION_NAME = "evaluation.json"
README_NAME = "README.md"


class BaseRecord(BoundaryModel):
    """The base, and the SHA-256 of its files before and after; `unchanged` when they are the same."""

    source: str
    revision: str | None
    architecture: str
    parameters: int
    digest: str
    files_before: dict[str, str]
    files_after: dict[str, str]
    unchanged: bool


class ChainLink(BoundaryModel):
    """One artifact on the way from documents to this one: its content's digest and the digests of its parents."""

    role: str
    digest: str
    parents: dict[str, str] = Field(default_factory=dict)


class ProofRecord(BoundaryModel):
    """A proof of the run, in a line."""

    name: str
    passed: bool
    message: str


class Interval(BoundaryModel):
    """A value with its 95 % interval; null where there was nothing to measure."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class EvaluationRow(BoundaryModel):
    """One metric of base and adapter on the same held-out rows; `difference` is adapter − base."""

    name: str
    rows: int
    base: Interval
    adapter: Interval
    difference: Interval
    verdict: str


class MergeRecord(BoundaryModel):
    """The merged model of the run, as its report says."""

    digest: str
    base: str
    mean_kl: float
    top1_agreement: float
    greedy_match: float


class DataChange(BoundaryModel):
    """What one step on the way from rows to tokens took away or changed, and why; counts as in the rows' ledger."""

    step: str
    reason: str
    examples: int = Field(description="examples that it concerned")
    left_out: int = Field(description="of these, examples that are gone")
    tokens: int = Field(description="change of tokens; negative: lost")
    trained_tokens: int = Field(description="of these, tokens that would have been learnt")


class DataRecord(BoundaryModel):
    """What was learnt from: counts by split, and what was left out, shortened or split on the way."""

    digest: str
    splits: dict[str, SplitCount] = Field(default_factory=dict)
    changes: list[DataChange] = Field(default_factory=list)
    template: str | None = None


class ArtifactMetadata(BoundaryModel):
    """`metadata.json`."""

    format_version: int = 1
    name: str
    run_id: str
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    task: FinetuneTask
    method: FinetuneMethod
    base: BaseRecord
    data: DataRecord
    training: dict[str, JsonValue] = Field(description="facts of the training: steps, losses, tokens, seconds")
    effective_settings: dict[str, JsonValue] = Field(description="what held, read from the live parts")
    proofs: list[ProofRecord]
    evaluation: list[EvaluationRow] = Field(default_factory=list)
    merge: MergeRecord | None = None
    chain: list[ChainLink] = Field(description="documents → rows → base → adapter → merged")
    versions: dict[str, str]
    hardware: dict[str, JsonValue] = Field(default_factory=dict)
    git: dict[str, JsonValue] = Field(default_factory=dict)


def load_artifact_metadata(directory: Path) -> ArtifactMetadata:
    """metadata.json of the final artifact in `directory`, nothing proven; DataError(CORRUPTION) if it is unreadable."""
    try:
        return ArtifactMetadata.model_validate_json((directory / METADATA_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{METADATA_NAME} cannot be read as the metadata of an artifact") from error
