"""What is remembered of a subject between two observations; JSON, so that it survives the process."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.monitoring.alerts.rules import RuleName


class RuleMemory(BoundaryModel):
    """Where one rule stands. `told` says that whoever listens knows of it and must hear of its end."""

    firing: bool = False
    since: float | None = None
    told: bool = False
    told_at: float | None = None
    alert_id: UUID | None = None
    times_told: int = 0
    suppressed: int = Field(0, description="how often it began inside the cool-down, since it was told")
    calm: int = 0
    facts: dict[str, JsonValue] = Field(default_factory=dict)


class AlertMemory(BoundaryModel):
    """Everything remembered of one subject."""

    active: bool = Field(False, description="the run is at work")
    moved_at: float | None = None
    losses: list[float] = Field(default_factory=list, description="of the running median, oldest first")
    best_validation: float | None = None
    lost_leases: list[float] = Field(default_factory=list)
    rules: dict[RuleName, RuleMemory] = Field(default_factory=dict)

    @property
    def firing(self) -> list[RuleName]:
        """The rules that fire now."""
        return [name for name, rule in self.rules.items() if rule.firing]
