"""From events to observations: those that a run tells of itself, and those of the jobs that a service supervises."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.tracking.numbers import PROGRESS, VALIDATED

SKIPPED = "training_orchestrator.batch_skipped.v1"
CHECKED = "deployment_validator.validation_complete.v1"

# The one observation of most events; nobody changes it.
MOVED = Observation(kind="moved")
RUN_ENDS = {
    "pipeline.completed.v1": Observation(kind="ended", outcome="finished"),
    "pipeline.interrupted.v1": Observation(kind="ended", outcome="stopped"),
}
JOB_STATES = {
    "job.running.v1": Observation(kind="began"),
    "job.queued.v1": Observation(kind="waits"),
    "job.succeeded.v1": Observation(kind="ended", outcome="finished"),
    "job.cancelled.v1": Observation(kind="ended", outcome="stopped"),
    "job.paused.v1": Observation(kind="ended", outcome="stopped"),
}


def of_run(name: str, data: Mapping[str, JsonValue]) -> Observation:
    """What an event of a run, told by the run itself, says to the rules."""
    if name == "pipeline.started.v1":
        return Observation(kind="began")
    if name == "pipeline.failed.v1":
        return Observation(kind="ended", outcome="failed", code=_word(data.get("code")))
    return RUN_ENDS.get(name) or of_work(name, data)


def of_work(name: str, data: Mapping[str, JsonValue]) -> Observation:
    """What an event of the work itself says; how a run ends is not looked at."""
    if name == PROGRESS:
        loss, norm = _number(data.get("loss")), _number(data.get("gradient_norm"))
        return Observation(kind="step", step=_step(data), loss=loss, gradient_norm=norm)
    if name == VALIDATED:
        return Observation(kind="validated", step=_step(data), loss=_number(data.get("validation_loss")))
    if name == SKIPPED:
        return Observation(kind="step", step=_step(data), skipped=True)
    if name == CHECKED:
        return Observation(kind="deployment_checked", passed=data.get("passed") is True)
    return MOVED


def of_job(name: str, data: Mapping[str, JsonValue], code: str | None) -> Observation:
    """What a change of a job's state says; `code` is that of the job's error."""
    if name == "job.failed.v1":
        return Observation(kind="ended", outcome="failed", code=code or _word(data.get("reason")))
    if name == "job.interrupted.v1":
        return Observation(kind="lease_lost" if data.get("reason") == "lost_lease" else "waits")
    return JOB_STATES.get(name) or MOVED


def _step(data: Mapping[str, JsonValue]) -> int | None:
    step = data.get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _word(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value.replace("_", "").isalnum() else None
