"""What a run's status says about the quality of its model: the evaluation writes it, runs/ reads it."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel

VALIDATION_RESULTS_NAME = "validation_results.json"


class InferenceMetrics(BoundaryModel):
    """Measured in a process of its own; whole numbers are rounded up, the exact ones are in `budgets.json`.

    `latency_p95_ms` is the 95th percentile of the time to the next token, `rss_mb` the resident set while
    generating, `peak_mb` its highest.
    """

    latency_p95_ms: int = Field(ge=0)
    tokens_per_sec: float = Field(ge=0)
    rss_mb: int = Field(ge=0)
    peak_mb: int = Field(ge=0)


class ValidationResults(BoundaryModel):
    """`validation_results.json`. Losses are means per token in nats; `final_train_loss` is null where no epoch ended.

    `constitutional_compliance` says whether every inference budget of the recipe is met.
    """

    sample_generations: list[str]
    final_train_loss: float | None
    final_val_loss: float
    inference_metrics: InferenceMetrics
    constitutional_compliance: bool
