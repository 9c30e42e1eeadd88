"""Typed, versioned facts and the bus that carries them.

A *trace point* is a component's event: `trace(bus, "DataLoader", "loader_initialized", rows=12)`.
Names are `<component>.<fact>` in lower snake case with a version suffix, e.g. `data_loader.batch_loaded.v1`;
run-level facts keep the published names `trainer.job.started.v1`, `trainer.metrics.progress.v1`, ….
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import Field, JsonValue

from loquela.core.atomic import append_line
from loquela.core.model import BoundaryModel

Listener = Callable[["Event"], None]


class Event(BoundaryModel):
    """One fact. `name` ends in its schema version; `time` is UTC; `data` is JSON."""

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    name: str = Field(pattern=r"^[a-z][a-z0-9_.]*\.v\d+$")
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    run_id: str | None = None
    component: str | None = None
    data: dict[str, JsonValue] = Field(default_factory=dict)


class Bus(Protocol):
    """Where components publish."""

    def publish(self, name: str, data: dict[str, JsonValue], *, component: str | None = None) -> None:
        """Tell every listener."""


class EventBus:
    """In-process bus: listeners are called in order, in the publisher's thread.

    A listener that raises stops the publisher: a fact that cannot be recorded is not a fact.
    """

    def __init__(self, run_id: str | None = None) -> None:
        self.run_id = run_id
        self._listeners: dict[str, Listener] = {}

    def subscribe(self, listener: Listener) -> str:
        """Call `listener` for every event from now on; returns the id to unsubscribe with."""
        key = str(uuid.uuid4())
        self._listeners[key] = listener
        return key

    def unsubscribe(self, subscription_id: str) -> bool:
        """Stop calling that listener; whether there was one."""
        return self._listeners.pop(subscription_id, None) is not None

    def publish(self, name: str, data: dict[str, JsonValue], *, component: str | None = None) -> None:
        """Make an `Event` and hand it to every listener."""
        event = Event(name=name, run_id=self.run_id, component=component, data=data)
        for listener in list(self._listeners.values()):
            listener(event)


class SilentBus:
    """A bus that nobody listens to, for library use without a run."""

    def publish(self, name: str, data: dict[str, JsonValue], *, component: str | None = None) -> None:
        """Tell nobody."""


class EventFile:
    """Listener that appends every event to `events.jsonl`, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: Event) -> None:
        append_line(self.path, event.model_dump_json())


def trace(bus: Bus, component: str, point: str, **data: JsonValue) -> None:
    """Publish the trace point `point` of `component` (CamelCase, as the seeds name it)."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", component).lower()
    bus.publish(f"{prefix}.{point}.v1", data, component=component)
