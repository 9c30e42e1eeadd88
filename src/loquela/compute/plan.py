"""The prediction that a run starts with: what it will take, part by part."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class Plan(BoundaryModel):
    """Predictions; `assumptions` says where each number that was not counted comes from."""

    parameters: int
    flops_per_token: int
    corpus_mb: float
    train_tokens: int
    steps_total: int
    tokens_total: int
    memory_mb: dict[str, float]
    disk_mb: float
    tokens_per_second: float
    training_minutes: float
    assumptions: list[str] = Field(default_factory=list)
