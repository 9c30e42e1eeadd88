"""What is asked and answered about runs; times are seconds since 1970, UTC."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from loquela.core.model import BoundaryModel
from loquela.jobs.records import Job, JobError, StoredEvent
from loquela.jobs.states import HELD, JobState, Reason
from loquela.service.numbers import worded_object

RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Labels = Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class TrainRequest(BoundaryModel):
    """A run to be made. `recipe` is what a recipe file holds, as an object or as YAML text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"recipe": {"name": "stories", "data": {"sources": ["builtin:stories"]}, "train": {"epochs": 2}}},
                {"recipe": "data:\n  sources: [builtin:stories]\n", "until": "tokenizer", "labels": {"for": "a test"}},
            ]
        }
    )

    recipe: dict[str, JsonValue] | Annotated[str, Field(max_length=500_000)] = Field(
        description="what a recipe file holds: an object, or YAML text"
    )
    until: str | None = Field(None, max_length=32, description="stage to stop after; null: to the recipe's end")
    priority: int = Field(0, ge=-100, le=100, description="higher ones are taken first")
    labels: Labels = Field(default_factory=dict, description="at most 16 words of your own")


class RunView(BoundaryModel):
    """A run as the service sees it."""

    run_id: str
    state: JobState
    reason: Reason | None
    message: str
    error: JobError | None
    attempt: int
    progress: dict[str, JsonValue]
    result: dict[str, JsonValue] | None
    labels: dict[str, str]
    created_at: float
    started_at: float | None
    ended_at: float | None
    last_heartbeat: float | None = Field(description="when its worker was last heard of")
    progress_at: float | None = Field(description="when the work itself last moved")
    worker: str | None
    project: str | None = Field(description="of the key that made it; null: of none")


class RunPage(BoundaryModel):
    """Some runs, newest first; ask again with `before` for older ones."""

    runs: list[RunView]
    next_before: int | None


class EventPage(BoundaryModel):
    """Some events, oldest first."""

    events: list[StoredEvent]
    last_seq: int = Field(description="of the last one here: what to ask `after` next")
    newest: int = Field(description="of the newest one that there is; 0 where there is none")


class PlanView(BoundaryModel):
    """What a recipe would do, without doing it."""

    recipe: dict[str, JsonValue]
    derived: dict[str, str]
    plan: dict[str, JsonValue] | None = Field(description="null where the run itself has to look first")


class Problem(BoundaryModel):
    """One thing that is wrong with a recipe: where, which key, and the edit that mends it."""

    code: str
    where: str
    key: str
    message: str
    remedy: str


class ValidationView(BoundaryModel):
    """Whether a recipe can be used, and everything that is wrong with it."""

    valid: bool
    problems: list[Problem]
    recommendations: list[str] = Field(description="what is allowed but unusual")
    derived: dict[str, str] = Field(description="what the recipe leaves out, with the reason for its value")


class Health(BoundaryModel):
    """Whether the process answers."""

    status: str


class Readiness(BoundaryModel):
    """Whether what the service needs is there."""

    ready: bool
    checks: dict[str, str]


def view_of(job: Job, lease_seconds: float) -> RunView:
    """A job as it is shown."""
    # A run of the command line has no worker that beats for it: what it writes is all that is heard of it.
    unsupervised = job.progress_at if job.state in HELD else None
    heard = job.lease_until - lease_seconds if job.lease_until is not None else unsupervised
    return RunView(
        run_id=job.run_id,
        state=job.state,
        reason=job.reason,
        message=job.message,
        error=job.error,
        attempt=job.attempt,
        progress=worded_object(job.progress),
        result=worded_object(job.result) if job.result is not None else None,
        labels=job.labels,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        last_heartbeat=heard,
        progress_at=job.progress_at,
        worker=job.lease_owner,
        project=job.project,
    )


def shown(event: StoredEvent) -> StoredEvent:
    """An event as it is shown."""
    return event.model_copy(update={"data": worded_object(event.data)})
