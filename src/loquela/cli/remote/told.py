"""Events, times and numbers of a service as this machine shows its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loquela.cli.run_result import shown

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.client.answers import Event as ToldEvent
    from loquela.monitoring.events import Event

# Nothing happens behind it until somebody asks.
PAUSED = "job.paused.v1"


def as_event(told: ToldEvent) -> Event:
    """An event as the display takes it."""
    from loquela.monitoring.events import Event

    at = datetime.fromtimestamp(told.at, UTC)
    return Event(id=told.id, name=told.name, time=at, run_id=told.run_id, data=told.data)


def time_of(at: float | None) -> str:
    """Seconds since 1970 in the time zone of this machine."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def numbers(progress: Mapping[str, JsonValue]) -> list[tuple[str, str]]:
    """Names and values for a table."""
    return [(name.replace("_", " "), shown(value)) for name, value in progress.items()]
