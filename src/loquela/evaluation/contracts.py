"""The ValidationRunner's request, result and error, and what the other files of a report hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.recipe.schema import EvaluationMetric


class ValidationRunnerRequest(BoundaryModel):
    """Which model to evaluate on which loader, by which metrics."""

    model_id: UUID
    validation_loader_id: UUID
    evaluation_metrics: list[EvaluationMetric] = Field(min_length=1)


class ValidationMetrics(BoundaryModel):
    """Null where the metric was not asked for. `f1_score` is the macro F1 over token classes (perplexity.py)."""

    perplexity: float | None = None
    accuracy: float | None = None
    f1_score: float | None = None


class ValidationRunnerResult(BoundaryModel):
    """What was measured, and when (UTC)."""

    validation_id: UUID = Field(default_factory=uuid4)
    metrics: ValidationMetrics
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))


class ValidationRunnerError(BoundaryModel):
    """Why nothing was measured."""

    error_code: Literal["EVALUATION_FAILED", "METRIC_COMPUTATION_ERROR"]
    details: str


class LossReport(BoundaryModel):
    """What the model is worth on a split.

    `loss` in nats per token and `perplexity` = exp(loss) are over `target_tokens`; `bits_per_byte` divides the
    same sum by the UTF-8 bytes of the texts, so models with different tokenizers can be compared.
    """

    split: str
    target_tokens: int
    text_bytes: int
    loss: float
    perplexity: float
    bits_per_byte: float
    accuracy: float | None = None
    f1_score: float | None = None


class LengthSpread(BoundaryModel):
    """Tokens per document, without the end-of-document token."""

    minimum: int
    p50: float
    p95: float
    maximum: int
    mean: float
    share_longer_than_context: float


class TokenizationReport(BoundaryModel):
    """How the tokenizer cuts the split; characters and words are counted in the decoded documents."""

    documents: int
    tokens: int
    characters: int
    words: int
    tokens_per_character: float
    tokens_per_word: float
    lengths: LengthSpread


class TextQuality(BoundaryModel):
    """Variety and repetition, counted in words (lower case).

    `distinct_n` is the share of different n-grams among all; `repeated_4grams` is 1 − distinct-4;
    `longest_loop_words` is the longest stretch that says the same words over and over (0: none).
    """

    distinct_1: float
    distinct_2: float
    distinct_3: float
    repeated_4grams: float
    longest_loop_words: int


class Sample(BoundaryModel):
    """One line of `samples.jsonl`."""

    prompt: str
    output: str
    seed: int
    temperature: float
    steps: int
    eos_terminated: bool
    language: Literal["en", "es", "unknown"]
    quality: TextQuality


class SamplesReport(BoundaryModel):
    """All samples together; `languages` counts the guesses, `bilingual` says that both were written."""

    count: int
    quality: TextQuality
    languages: dict[str, int]
    bilingual: bool


class ConvergenceReport(BoundaryModel):
    """What the run's training history says; nulls where there is no history."""

    epochs: int
    final_train_loss: float | None = None
    first_validation_loss: float | None = None
    final_validation_loss: float | None = None
    best_epoch: int | None = None
    best_validation_loss: float | None = None
    convergence_achieved: bool | None = None
    overfitting_detected: bool | None = None


class EvaluationReport(BoundaryModel):
    """`metrics.json`."""

    seed: int
    validation: LossReport
    tokenization: TokenizationReport
    samples: SamplesReport
    training: ConvergenceReport
    warnings: list[str] = Field(default_factory=list)


class BudgetMeasurement(BoundaryModel):
    """What the budget process prints; `cold_start_seconds` runs from process start to the first token."""

    tokens: int
    threads: int
    latency_p50_ms: float
    latency_p95_ms: float
    tokens_per_second: float
    rss_mb: float
    peak_mb: float
    cold_start_seconds: float


class BudgetVerdict(BoundaryModel):
    """One budget: what was measured, what is allowed, whether it holds."""

    name: Literal["latency_p95_ms", "tokens_per_second", "rss_mb", "peak_mb"]
    measured: float
    limit: float
    relation: Literal["at most", "at least"]
    met: bool


class BudgetReport(BoundaryModel):
    """`budgets.json`."""

    measurement: BudgetMeasurement
    verdicts: list[BudgetVerdict]
    constitutional_compliance: bool
