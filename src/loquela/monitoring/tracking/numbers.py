"""Which numbers of which events are tracked, and under which names.

trainer.metrics.progress        train/<name>, of the optimizer step
training_orchestrator.validated validation/<name>
pipeline.stage_completed        <stage>/<dotted name>: what a stage measured, of the last step
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from loquela.monitoring.events import Event

PROGRESS = "trainer.metrics.progress.v1"
VALIDATED = "training_orchestrator.validated.v1"
STAGE_COMPLETED = "pipeline.stage_completed.v1"
# Plans and repetitions of what is tracked already, not measurements of this step.
NOT_MEASURED = {"step", "steps_total", "epochs", "eta_seconds", "validation_loss", "avg_loss_last_100"}
NUMBERS_PER_STAGE = 500


def tracked_numbers(event: Event) -> dict[str, float]:
    """The numbers of an event by tracked name; empty for an event that has none to track."""
    if event.name == PROGRESS:
        return {f"train/{name}": value for name, value in _numbers(event.data) if name not in NOT_MEASURED}
    if event.name == VALIDATED:
        found = {name.removeprefix("validation_"): value for name, value in _numbers(event.data)}
        return {f"validation/{name}": value for name, value in found.items() if name not in ("step", "epoch")}
    if event.name == STAGE_COMPLETED:
        facts = event.data.get("facts")
        measured = list(_nested(facts, "")) if isinstance(facts, dict) else []
        return {f"{event.data.get('stage')}/{name}": value for name, value in measured[:NUMBERS_PER_STAGE]}
    return {}


def _numbers(data: Mapping[str, JsonValue]) -> Iterator[tuple[str, float]]:
    for name, value in data.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


def _nested(data: Mapping[str, JsonValue], prefix: str) -> Iterator[tuple[str, float]]:
    yield from ((prefix + name, value) for name, value in _numbers(data))
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _nested(value, f"{prefix}{name}.")
