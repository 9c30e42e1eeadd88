"""What a bundle must hold to before it is promoted, and the load it is measured under."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel
from loquela.recipe.budget_section import BudgetSection

# Offered beyond the throughput that is required, so that the requirement can be seen to hold.
HEADROOM = 1.25


class DeployLoad(BoundaryModel):
    """Requests that arrive whether or not the last one is answered (open loop), all greedy, one after another."""

    requests: int = Field(40, ge=1, le=10_000, description="requests of each repeat")
    repeats: int = Field(3, ge=1, le=20, description="each in a fresh process; the median counts")
    rate_per_second: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="arrivals; null: 1.25 × min_throughput_qps, or half of what the bundle can do",
    )
    arrivals: Literal["poisson", "fixed"] = Field("poisson", description="gaps by chance, or all alike")
    new_tokens: int = Field(32, ge=1, le=512, description="tokens written for each request")
    prompts: list[str] = Field(
        default_factory=list, max_length=1000, description="sent beside the bundle's golden prompts"
    )
    overlong_prompts: Literal["refuse", "cut"] = Field(
        "refuse", description="a prompt that leaves no room for new_tokens: stop, or cut its beginning"
    )
    max_seconds: float = Field(60.0, gt=0, le=3600, description="of each repeat; later requests count as errors")
    seed: int = Field(1337, ge=0, lt=2**31, description="of the arrival times")


class DeployLimits(BoundaryModel):
    """What the process that runs the bundle may take; beyond, it is ended."""

    memory_mb: int = Field(8192, ge=64, le=2**24, description="address space, which is more than resident memory")
    cpu_seconds: int = Field(600, ge=1, le=86_400, description="processor time of each repeat")
    wall_seconds: float = Field(300.0, gt=0, le=86_400, description="time of each repeat, start-up included")


class DeploySection(BoundaryModel):
    """Requirements of a deployment check; whatever is left out is measured and not judged."""

    max_latency_ms: Annotated[int, Field(ge=1)] | None = Field(
        None, description="p95 of a request, from its arrival to its last token; also the objective of goodput"
    )
    min_throughput_qps: Annotated[int, Field(ge=1)] | None = Field(None, description="requests answered per second")
    max_ttft_ms: Annotated[float, Field(gt=0)] | None = Field(
        None, description="p95 of the time from arrival to first token; also an objective of goodput"
    )
    min_goodput: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="share of requests that met every objective"
    )
    max_error_rate: float = Field(0.0, ge=0, lt=1, description="share of requests without an answer")
    max_cold_start_seconds: Annotated[float, Field(gt=0)] | None = Field(
        None, description="from the start of the process to its first token"
    )
    budgets: BudgetSection | None = Field(None, description="null: those of evaluate.budgets")
    max_regression: float = Field(
        0.25, ge=0, le=10, description="by how much a bundle may be worse than the promoted one, as a share"
    )
    against: Path | None = Field(
        None, description="run or folder of the promoted bundle to compare with; null: the one that the bundle is in"
    )
    load: DeployLoad = Field(default_factory=DeployLoad)
    limits: DeployLimits = Field(default_factory=DeployLimits)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for contradiction in self._contradictions():
            raise ValueError(contradiction)
        return self

    def offered_rate(self) -> float | None:
        """Requests per second that will arrive; None where the bundle's own speed decides."""
        if self.load.rate_per_second is not None:
            return self.load.rate_per_second
        return None if self.min_throughput_qps is None else HEADROOM * self.min_throughput_qps

    def _contradictions(self) -> list[str]:
        found = []
        rate, load = self.offered_rate(), self.load
        if rate is not None and self.min_throughput_qps is not None and rate < self.min_throughput_qps:
            found.append(
                f"load.rate_per_second is {rate:g}, so that min_throughput_qps {self.min_throughput_qps} can never be "
                "seen: offer at least as many requests as must be answered"
            )
        if rate is not None and load.requests / rate > load.max_seconds:
            found.append(
                f"{load.requests} requests at {rate:g} per second take {load.requests / rate:.0f} seconds to arrive, "
                f"load.max_seconds allows {load.max_seconds:g}: lower load.requests or raise load.max_seconds"
            )
        if self.max_ttft_ms is not None and self.max_latency_ms is not None and self.max_ttft_ms > self.max_latency_ms:
            found.append(
                f"max_ttft_ms is {self.max_ttft_ms:g}, max_latency_ms only {self.max_latency_ms}: a first token is "
                "never later than the last one"
            )
        if self.min_goodput is not None and self.max_ttft_ms is None and self.max_latency_ms is None:
            found.append("min_goodput counts requests that met an objective: give max_latency_ms or max_ttft_ms too")
        if self.budgets is not None and self.budgets.peak_mb < self.budgets.rss_mb:
            found.append(
                f"budgets.peak_mb is {self.budgets.peak_mb:g}, below budgets.rss_mb {self.budgets.rss_mb:g}: the peak "
                "is never less than what is resident"
            )
        if load.max_seconds >= self.limits.wall_seconds:
            found.append(
                f"load.max_seconds is {load.max_seconds:g}, but the process is ended after limits.wall_seconds "
                f"{self.limits.wall_seconds:g}: allow more, for it has to start, too"
            )
        return found
