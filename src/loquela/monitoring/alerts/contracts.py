"""Request, result and error of the AlertingSystem component."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.monitoring.alerts.channel_settings import ChannelKind
from loquela.monitoring.alerts.notification import Severity


class AlertThresholds(BoundaryModel):
    """Limits of one check; the other rules keep theirs."""

    loss_spike_factor: float = Field(2.0, gt=1)
    gradient_norm_max: float = Field(100.0, gt=0)


class AlertingSystemRequest(BoundaryModel):
    """`metrics`: name → number, of them `step`, `loss`, `gradient_norm` and `validation_loss` are looked at."""

    metrics: dict[str, JsonValue]
    thresholds: AlertThresholds = Field(default_factory=AlertThresholds)
    alert_channels: list[ChannelKind] = Field(default_factory=list, description="kinds of channels to tell")


class AlertingSystemResult(BoundaryModel):
    """What was told; of several alerts the worst."""

    alert_id: UUID | None
    alert_triggered: bool
    severity: Severity | None


class AlertingSystemError(BoundaryModel):
    """Which channel could not be told."""

    error_code: Literal["NOTIFICATION_FAILED"]
    channel: str
