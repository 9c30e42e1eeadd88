"""Bus listener: hands what trackers care about to each of them, and sums up when the run ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from loquela.core.atomic import write_json
from loquela.core.model import BoundaryModel
from loquela.monitoring.events import Event
from loquela.monitoring.tracking.contract import Outcome, TrackedRun, Tracker
from loquela.monitoring.tracking.delivery import Delivered, Delivery
from loquela.monitoring.tracking.numbers import PROGRESS, VALIDATED, tracked_numbers

TRACKING_NAME = "tracking.json"
# How long a run that has ended waits for its trackers, all of them together.
FINISH_SECONDS = 30.0
STARTED = "pipeline.started.v1"
REWOUND = ("trainer.job.started.v1", "training_orchestrator.rolled_back.v1")
ENDS: dict[str, Outcome] = {
    "pipeline.completed.v1": "completed",
    "pipeline.failed.v1": "failed",
    "pipeline.interrupted.v1": "interrupted",
}


class TrackingReport(BoundaryModel):
    """`tracking.json` of a run: one line a tracker."""

    trackers: list[Delivered]


class TrackerListener:
    """Feeds `trackers` (by name) from the run's start to its end; never raises for anything that a tracker does."""

    def __init__(
        self, trackers: Mapping[str, Tracker], run: TrackedRun, finish_seconds: float = FINISH_SECONDS
    ) -> None:
        self.trackers = trackers
        self.run = run
        self.finish_seconds = finish_seconds
        self._deliveries: list[Delivery] = []
        self._step = 0

    def __call__(self, event: Event) -> None:
        if event.name == STARTED:
            self._deliveries = [Delivery(name, tracker, self.run) for name, tracker in self.trackers.items()]
        elif event.name in ENDS:
            self._end(ENDS[event.name])
        elif event.name in REWOUND:
            self._rewind(event)
        else:
            self._log(event)

    def _rewind(self, event: Event) -> None:
        step = event.data.get("step")
        if isinstance(step, int) and (step or self._step):
            self._step = step
            for delivery in self._deliveries:
                delivery.tell(partial(delivery.tracker.rewind, step))

    def _log(self, event: Event) -> None:
        numbers = tracked_numbers(event)
        step = event.data.get("step")
        if event.name in (PROGRESS, VALIDATED) and isinstance(step, int):
            self._step = step
        if numbers:
            for delivery in self._deliveries:
                delivery.tell(partial(delivery.tracker.log, self._step, numbers))

    def _end(self, outcome: Outcome) -> None:
        for delivery in self._deliveries:
            delivery.finish(outcome)
        deadline = time.monotonic() + self.finish_seconds
        report = TrackingReport(
            trackers=[delivery.wait(max(0.0, deadline - time.monotonic())) for delivery in self._deliveries]
        )
        self._deliveries = []
        write_json(self.run.directory / TRACKING_NAME, report.model_dump(mode="json"))


def read_tracking(run_directory: Path) -> list[Delivered]:
    """What became of what was tracked; empty for a run without trackers."""
    try:
        return TrackingReport.model_validate_json((run_directory / TRACKING_NAME).read_bytes()).trackers
    except (FileNotFoundError, ValidationError):
        return []
