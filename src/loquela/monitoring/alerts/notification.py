"""What a person is told: that something began, that it ended, or what happened while it was quiet."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid5

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel

Severity = Literal["info", "warning", "critical"]
Action = Literal["trigger", "resolve", "summary", "test"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
NAMESPACE = UUID("5b1f2d34-6d0c-4a0e-9f0b-0f6b1f6d1c11")


class Notification(BoundaryModel):
    """One message. It never holds text of a corpus nor a place on a machine: names of runs, rules, numbers, codes.

    `alert_id` is the same for an alert and for its end; `dedup_key` is the same for every alert of one rule on one
    subject. `at` is seconds since 1970, UTC.
    """

    alert_id: UUID
    action: Action
    rule: str = Field(description="what was watched; of a summary or a test its own name")
    severity: Severity
    subject: str = Field(description="run, or service")
    dedup_key: str
    title: str
    text: str
    at: float
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def id(self) -> UUID:
        """The message's own id: the same message made again has the same."""
        return uuid5(NAMESPACE, f"{self.alert_id}:{self.action}")


def alert_id(dedup_key: str, number: int, at: float) -> UUID:
    """The id of the alert of that key that was the `number`-th to be told, at `at`."""
    return uuid5(NAMESPACE, f"{dedup_key}:{number}:{at!r}")


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether `severity` is `least` or worse."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)
