"""What is watched, each rule with its own numbers, severity and cool-down."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.monitoring.alerts.notification import Severity

RuleName = Literal[
    "loss_spike",
    "gradient_norm",
    "nan",
    "validation_regression",
    "stalled",
    "failed",
    "finished",
    "disk_low",
    "lease_flapping",
    "deployment_check_failed",
]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)


class Rule(BoundaryModel):
    """What all rules have."""

    enabled: bool = Field(True, description="false: it is not watched")
    severity: Severity = Field("warning", description="critical passes quiet hours")
    cooldown_seconds: float = Field(
        1800.0, ge=0, le=604_800, description="after it was told, it is not told again for the same run for so long"
    )


class LossSpike(Rule):
    """The loss jumps over what it was: `factor` times the median of the last `window` losses."""

    factor: float = Field(2.0, gt=1, le=1000, description="times the running median")
    window: int = Field(50, ge=3, le=1000, description="losses that the median is taken of")
    least: int = Field(10, ge=1, le=1000, description="losses that must be there before anything is said")
    calm: int = Field(5, ge=1, le=1000, description="losses in a row below the limit that end it")


class GradientNorm(Rule):
    """The gradient norm, before clipping, is over a limit."""

    over: float = Field(100.0, gt=0, le=1e12, description="gradient norm")
    calm: int = Field(5, ge=1, le=1000, description="norms in a row below the limit that end it")


class NotANumber(Rule):
    """A loss or a gradient norm is NaN or infinite, or a step was skipped for that."""

    severity: Severity = Field("critical", description="critical passes quiet hours")
    calm: int = Field(5, ge=1, le=1000, description="finite steps in a row that end it")


class ValidationRegression(Rule):
    """The validation loss is worse than the best so far by a share of it."""

    fraction: float = Field(0.1, gt=0, le=100, description="share of the best validation loss")


class Stalled(Rule):
    """A run that is at work says nothing any more."""

    severity: Severity = Field("critical", description="critical passes quiet hours")
    seconds: float = Field(1800.0, gt=0, le=604_800, description="without any sign of progress")


class Failed(Rule):
    """A run failed. It ends when the run goes on."""

    severity: Severity = Field("critical", description="critical passes quiet hours")
    cooldown_seconds: float = Field(
        60.0, ge=0, le=604_800, description="after it was told, it is not told again for the same run for so long"
    )


class Finished(Rule):
    """A run came to its end. Told once; there is nothing to end."""

    severity: Severity = Field("info", description="critical passes quiet hours")
    cooldown_seconds: float = Field(
        60.0, ge=0, le=604_800, description="after it was told, it is not told again for the same run for so long"
    )


class DiskLow(Rule):
    """The disk that a run or the service writes to has little room. It ends with a tenth more than the limit."""

    free_gb: float = Field(2.0, gt=0, le=1_000_000, description="free room in GB (10^9 bytes)")


class LeaseFlapping(Rule):
    """Of the service: a run lost its worker again and again."""

    losses: int = Field(3, ge=2, le=1000, description="lost workers")
    window_seconds: float = Field(3600.0, gt=0, le=604_800, description="within so long")


class DeploymentCheckFailed(Rule):
    """An exported bundle did not hold to what the recipe asks of it. It ends when a check of the run passes."""


class AlertRules(BoundaryModel):
    """All rules; each is on, with these numbers, unless a file says otherwise."""

    loss_spike: LossSpike = Field(default_factory=LossSpike)
    gradient_norm: GradientNorm = Field(default_factory=GradientNorm)
    nan: NotANumber = Field(default_factory=NotANumber)
    validation_regression: ValidationRegression = Field(default_factory=ValidationRegression)
    stalled: Stalled = Field(default_factory=Stalled)
    failed: Failed = Field(default_factory=Failed)
    finished: Finished = Field(default_factory=Finished)
    disk_low: DiskLow = Field(default_factory=DiskLow)
    lease_flapping: LeaseFlapping = Field(default_factory=LeaseFlapping)
    deployment_check_failed: DeploymentCheckFailed = Field(default_factory=DeploymentCheckFailed)

    def rule(self, name: RuleName) -> Rule:
        """A rule by its name."""
        found: Rule = getattr(self, name)
        return found
