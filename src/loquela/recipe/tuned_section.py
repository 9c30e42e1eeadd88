"""The recipe section `evaluate.tuned`: a base held against what was fine-tuned on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel

MetricName = Annotated[str, Field(min_length=1, max_length=100)]


class TunedSection(BoundaryModel):
    """Base and adapter answer the same held-out rows: of the test split, without one of the validation split."""

    metrics: list[MetricName] = Field(
        [
            "exact_match",
            "token_f1",
            "citation_rate",
            "json_validity",
            "json_schema",
            "refusal_correctness",
            "refusal_precision",
            "refusal_recall",
            "over_refusal",
            "groundedness",
            "stop_rate",
            "answer_tokens",
            "first_token_seconds",
            "seconds_per_token",
        ],
        min_length=1,
        description="of answers; those of installed packages too. Loss and perplexity are always measured",
    )
    rows: int | None = Field(100, ge=1, description="held-out examples, drawn where there are more; null: all")
    max_new_tokens: int = Field(128, ge=1, le=65_536, description="longest answer")
    batch_size: int = Field(8, ge=1, le=4096, description="rows that are answered at once")
    bootstrap_samples: int = Field(2000, ge=100, le=1_000_000, description="draws behind every 95 % interval")
    json_schema: Path | None = Field(None, description="file with the JSON schema that answers in JSON must fit")
    fail_under: dict[MetricName, float] = Field(
        default_factory=dict, description="metric: least value of the adapter; a lower one fails with exit code 5"
    )
    forgetting: bool = Field(True, description="ask base and adapter general things, to see what was unlearnt")
    max_forgetting: float | None = Field(
        None,
        ge=0,
        description="share of what the base knows, beyond guessing, that one kind may lose; null: any",
    )
    harness: list[MetricName] = Field([], description="tasks of lm-evaluation-harness, where it is installed")
    harness_rows: int | None = Field(100, ge=1, description="documents per task; null: all")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        twice = sorted({name for name in self.metrics if self.metrics.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} stands in metrics twice; remove one")
        if self.max_forgetting is not None and not self.forgetting:
            raise ValueError("max_forgetting needs the check; set forgetting: true, or remove max_forgetting")
        if self.json_schema is not None and "json_schema" not in self.metrics:
            raise ValueError("json_schema is given, but the metric of this name is not in metrics; add it")
        return self
