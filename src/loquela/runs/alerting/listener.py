"""Bus listener: hands what rules look at to the watch of the run, and tells what the watch did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from loquela.channels.contract import Channel
from loquela.monitoring.alerts.of_events import of_run
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.system import COMPONENT
from loquela.monitoring.events import Bus, Event, trace
from loquela.recipe.schema import Recipe
from loquela.runs.alerting.last_word import LastWord
from loquela.runs.alerting.policy import open_channels, policy_of
from loquela.runs.alerting.watch import Watch

STARTED = "pipeline.started.v1"
ENDS = frozenset({"pipeline.completed.v1", "pipeline.failed.v1", "pipeline.interrupted.v1"})
OWN = "alerting_system."
# How long a run that has ended waits until everybody is told.
FINISH_SECONDS = 30.0

MakeWatch = Callable[[AlertPolicy, Mapping[str, Channel], Path], Watch]
MakeLastWord = Callable[[AlertPolicy, Path], LastWord]


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
        make_last_word: MakeLastWord | None = None,
    ) -> None:
        """`make_last_word`: starts what tells where the run's process is killed; None: nobody does."""
        self._policy, self._channels, self._directory = policy, channels, run_directory
        self._bus = bus
        self._finish_seconds = finish_seconds
        self._make_watch, self._make_last_word = make_watch, make_last_word
        self._watch: Watch | None = None
        self._last_word: LastWord | None = None

    def __call__(self, event: Event) -> None:
        if event.name.startswith(OWN):
            return
        if event.name == STARTED:
            self._watch = self._make_watch(self._policy, self._channels, self._directory)
            self._begin_last_word()
        if self._watch is None:
            return
        seen = of_run(event.name, event.data)
        if seen.kind == "moved":
            self._watch.moved()
        else:
            self._watch.see(seen)
        if event.name in ENDS:
            self._watch.finish(self._finish_seconds)
            self._end_last_word()
        self._tell(self._watch)
        if event.name in ENDS:
            self._watch = None

    def _begin_last_word(self) -> None:
        if self._make_last_word is None or not self._policy.channels:
            return
        try:
            self._last_word = self._make_last_word(self._policy, self._directory)
        except OSError as error:
            trace(self._bus, COMPONENT, "last_word_missing", why=type(error).__name__)

    def _end_last_word(self) -> None:
        if self._last_word is not None:
            self._last_word.not_needed()
            self._last_word = None

    def _tell(self, watch: Watch) -> None:
        for name, data, component in watch.traces.take():
            self._bus.publish(name, data, component=component)


def alert_listener(recipe: Recipe, run_directory: Path, bus: Bus) -> AlertListener | None:
    """What watches a run of `recipe`; None when nobody has asked for it."""
    policy = policy_of(recipe)
    if policy is None:
        return None
    return AlertListener(policy, open_channels(policy), run_directory, bus, make_last_word=LastWord)
