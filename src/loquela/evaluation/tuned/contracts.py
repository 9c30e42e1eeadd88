"""What the files of a comparison hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.evaluation.tuned.metric_contract import Better

Side = Literal["base", "adapter"]
SIDES: tuple[Side, Side] = ("base", "adapter")
Verdict = Literal["better", "worse", "unclear", "not judged"]


class Answer(BoundaryModel):
    """One line of `outputs.jsonl`: what one side wrote to one row.

    `tokens` without the stop token; `stopped`: it ended by itself. Seconds are those of the batch of `batch_rows` rows.
    """

    side: Side
    example: str
    answer: str
    tokens: int = Field(ge=0)
    stopped: bool
    first_token_seconds: float = Field(ge=0)
    seconds_per_token: float | None = Field(None, ge=0)
    batch_rows: int = Field(ge=1)


class RowLoss(BoundaryModel):
    """One line of `losses.jsonl`: nats summed over the trained tokens of a row, each times its weight."""

    side: Side
    example: str
    nats: float
    weight: float = Field(gt=0)
    tokens: int = Field(ge=1)


class ForgettingScore(BoundaryModel):
    """One line of `forgetting.jsonl`: how one side does on one kind of general questions; of prose, a perplexity."""

    side: Side
    kind: str
    questions: int = Field(ge=1)
    score: float


class HarnessScore(BoundaryModel):
    """One line of `harness.jsonl`: one number of a task of lm-evaluation-harness; the error is the harness's own."""

    side: Side
    task: str
    metric: str
    value: float
    error: float | None = None


class RowScores(BoundaryModel):
    """One line of `rows.jsonl`: both answers to a row and what each metric says of them; null: nothing."""

    example: str
    question: str
    reference: str | None
    base: str
    adapter: str
    base_scores: dict[str, float | None]
    adapter_scores: dict[str, float | None]


class Estimate(BoundaryModel):
    """A value with its 95 % interval; null where there was nothing to measure."""

    value: float | None
    low: float | None
    high: float | None


class MetricReport(BoundaryModel):
    """One metric on both sides; `difference` is adapter − base. `rows` had a number on either side."""

    name: str
    better: Better
    rows: int
    units: int = Field(description="rows that reword one another count once here; these are drawn by the bootstrap")
    base: Estimate
    adapter: Estimate
    difference: Estimate
    verdict: Verdict


class ForgettingReport(BoundaryModel):
    """One kind of general questions: score of each side, and `lost`, the share of what the base knows that is gone.

    What it knows is what it has right beyond guessing. Of prose the score is a perplexity, and `lost` the share by
    which it grew. Below 0 something was gained.
    """

    kind: str
    questions: int
    base: float
    adapter: float
    lost: float


class GateReport(BoundaryModel):
    """One limit of `fail_under` or `max_forgetting`; nothing measured is a limit that does not hold."""

    name: str
    limit: float
    measured: float | None
    passed: bool


class HarnessReport(BoundaryModel):
    """One number of a task of lm-evaluation-harness, on both sides; the errors are the harness's own."""

    task: str
    metric: str
    base: float
    adapter: float
    base_error: float | None
    adapter_error: float | None


class ComparisonReport(BoundaryModel):
    """`metrics.json`; limits are no part of it, they are held against it whenever they are asked for.

    `rows_total` are those of the split, `rows` those measured; `left_out` counts those that cannot be, by reason.
    """

    seed: int
    split: str
    rows_total: int
    rows: int
    left_out: dict[str, int]
    base: str
    base_digest: str
    adapter_digest: str
    method: Literal["adapter", "full"]
    base_equals_plain: bool | None = Field(
        description="logits with the adapter switched off are those of the base alone; null for a full fine-tuning"
    )
    metrics: list[MetricReport]
    forgetting: list[ForgettingReport]
    harness: list[HarnessReport]
    notes: list[str] = Field(default_factory=list)
