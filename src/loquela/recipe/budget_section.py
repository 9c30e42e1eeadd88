"""What running the trained model may cost."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class BudgetSection(BoundaryModel):
    """Limits that the trained model must meet in a process of its own."""

    latency_p95_ms: float = Field(50.0, gt=0, description="95th percentile of next-token time")
    tokens_per_second: float = Field(50.0, gt=0, description="least generation throughput")
    rss_mb: float = Field(400.0, gt=0, description="resident memory while generating")
    peak_mb: float = Field(512.0, gt=0, description="peak resident memory, loading included")
