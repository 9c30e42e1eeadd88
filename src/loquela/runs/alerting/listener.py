"""Bus listener: hands what rules look at to the watch of the run, and tells what the watch did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from loquela.channels.contract import Channel
from loquela.monitoring.alerts.of_events import of_run
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.events import Bus, Event
from loquela.recipe.schema import Recipe
from loquela.runs.alerting.policy import open_channels, policy_of
from loquela.runs.alerting.watch import Watch

STARTED = "pipeline.started.v1"
ENDS = frozenset({"pipeline.completed.v1", "pipeline.failed.v1", "pipeline.interrupted.v1"})
OWN = "alerting_system."
# How long a run that has ended waits until everybody is told.
FINISH_SECONDS = 30.0

MakeWatch = Callable[[AlertPolicy, Mapping[str, Channel], Path], Watch]


class AlertListener:
    """Watches a run from start to end; whatever a channel does, it never raises and, until the end, never waits."""

    def __init__(
        self,
        policy: AlertPolicy,
        channels: Mapping[str, Channel],
        run_directory: Path,
        bus: Bus,
        *,
        finish_seconds: float = FINISH_SECONDS,
        make_watch: MakeWatch = Watch,
    ) -> None:
        self._policy, self._channels, self._directory = policy, channels, run_directory
        self._bus = bus
        self._finish_seconds = finish_seconds
        self._make_watch = make_watch
        self._watch: Watch | None = None

    def __call__(self, event: Event) -> None:
        if event.name.startswith(OWN):
            return
        if event.name == STARTED:
            self._watch = self._make_watch(self._policy, self._channels, self._directory)
        if self._watch is None:
            return
        seen = of_run(event.name, event.data)
        if seen.kind == "moved":
            self._watch.moved()
        else:
            self._watch.see(seen)
        if event.name in ENDS:
            self._watch.finish(self._finish_seconds)
        self._tell(self._watch)
        if event.name in ENDS:
            self._watch = None

    def _tell(self, watch: Watch) -> None:
        for name, data, component in watch.traces.take():
            self._bus.publish(name, data, component=component)


def alert_listener(recipe: Recipe, run_directory: Path, bus: Bus) -> AlertListener | None:
    """What watches a run of `recipe`; None when nobody has asked for it."""
    policy = policy_of(recipe)
    if policy is None:
        return None
    return AlertListener(policy, open_channels(policy), run_directory, bus)
