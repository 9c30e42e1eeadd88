"""Requests, results and errors of the monitoring components."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel

Trend = Literal["improving", "degrading", "stable"]


class StepMetrics(BoundaryModel):
    """Numbers of one step; NaN and infinities are facts and allowed. A validation has only custom metrics."""

    loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    custom_metrics: dict[str, JsonValue] = Field(default_factory=dict, description="name → number")


class MetricsCollectorRequest(BoundaryModel):
    """`step` is the number of optimizer steps done when the numbers were taken."""

    training_id: UUID
    step: int = Field(ge=0)
    metrics: StepMetrics


class AggregatedMetrics(BoundaryModel):
    """`avg_loss_last_100` is the mean of the finite ones of the last 100 losses, NaN when there is none."""

    avg_loss_last_100: float
    trend: Trend


class MetricsCollectorResult(BoundaryModel):
    """What was recorded."""

    metrics_id: UUID = Field(default_factory=uuid4)
    persisted: bool
    aggregated_metrics: AggregatedMetrics


class MetricsCollectorError(BoundaryModel):
    """Which metric failed; "*" when it was the line as a whole."""

    error_code: Literal["PERSISTENCE_FAILED", "INVALID_METRIC"]
    metric_name: str
