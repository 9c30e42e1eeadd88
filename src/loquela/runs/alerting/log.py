"""`alerts.jsonl` of a run: what was told to whom, or why not; what a resumed run knows of the time before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import Field, ValidationError

from loquela.core.atomic import append_line
from loquela.core.model import BoundaryModel
from loquela.monitoring.alerts.memory import AlertMemory, RuleMemory
from loquela.monitoring.alerts.notification import Notification
from loquela.monitoring.alerts.rules import RULE_NAMES, RuleName

LOG_NAME = "alerts.jsonl"


class Delivered(BoundaryModel):
    """One line: one message to one channel; `noticed`, without a channel, where nobody is to be told."""

    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    channel: str | None
    outcome: Literal["noticed", "sent", "failed", "held", "dropped"]
    attempts: int = 0
    error: str | None = None
    notification: Notification


def write_delivered(run_directory: Path, delivered: Delivered) -> None:
    """Append one line; errors as `append_line`."""
    append_line(run_directory / LOG_NAME, delivered.model_dump_json())


def read_delivered(run_directory: Path) -> list[Delivered]:
    """All whole lines; empty for a run without alerts."""
    try:
        lines = (run_directory / LOG_NAME).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Delivered.model_validate_json(line))
        except ValidationError:
            continue
    return found


def remembered(run_directory: Path) -> AlertMemory:
    """What was told before: alerts that nobody has ended yet, and when each rule was told last."""
    memory = AlertMemory()
    rules: dict[RuleName, RuleMemory] = {}
    seen: set[UUID] = set()
    for delivered in read_delivered(run_directory):
        told = delivered.notification
        name = next((name for name in RULE_NAMES if name == told.rule), None)
        if name is None or told.id in seen:
            continue
        seen.add(told.id)
        known = rules.setdefault(name, RuleMemory())
        if told.action == "trigger":
            open_now = name != "finished"
            known.firing, known.told, known.since = open_now, open_now, told.at
            known.told_at, known.alert_id, known.facts = told.at, told.alert_id, told.facts
            known.times_told += 1
        elif told.action == "resolve":
            known.firing, known.told = False, False
    memory.rules = rules
    return memory
