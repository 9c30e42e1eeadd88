"""Jobs on runs that are there: asked for, found again, shown."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Header, Query
from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.records import INFERENCE, Job, JobError, JobKind, NewJob
from loquela.jobs.states import JobState, Reason
from loquela.service.numbers import worded_object
from loquela.service.parts import Parts

IdempotencyKey = Annotated[str | None, Header(max_length=255)]
Before = Annotated[int | None, Query(ge=0, description="jobs older than the page that named this number")]
Limit = Annotated[int, Query(ge=1, le=200)]


class JobView(BoundaryModel):
    """A job as the service sees it; times are seconds since 1970, UTC."""

    job_id: str
    kind: JobKind
    run_id: str
    state: JobState
    reason: Reason | None
    message: str
    error: JobError | None
    attempt: int
    progress: dict[str, JsonValue]
    result: dict[str, JsonValue] | None = Field(
        description="what came out; also the report of a job that failed because something is not good enough"
    )
    labels: dict[str, str]
    created_at: float
    started_at: float | None
    ended_at: float | None
    progress_at: float | None
    worker: str | None
    project: str | None


class JobPage(BoundaryModel):
    """Some jobs, newest first; ask again with `before` for older ones."""

    jobs: list[JobView]
    next_before: int | None


def queue(
    parts: Parts, kind: JobKind, run: Job, spec: dict[str, JsonValue], owner: str, idempotency_key: str | None
) -> Job:
    """A job on `run`; the same Idempotency-Key with the same request is the same job."""
    job_id = f"{kind.replace('_', '-')}-{uuid.uuid4().hex}"
    new = NewJob(id=job_id, kind=kind, run_id=run.run_id, spec=spec, created_by=owner)
    asked: dict[str, JsonValue] = {"run_id": run.run_id, "kind": kind, **spec}
    job = parts.submissions.submit(new, idempotency_key=idempotency_key, request=asked)
    parts.doorbell.ring(job.id, job.fence)
    return job


def find_job(parts: Parts, job_id: str) -> Job:
    """A job that workers do; RecipeError(RUN_NOT_FOUND) for an id that none has."""
    job = parts.listing.get(job_id)
    if job.kind in INFERENCE:
        raise RecipeError(
            ErrorCode.RUN_NOT_FOUND,
            f"{job_id} is a request to a model, no job of a worker",
            f"ask for it by GET /runs/{job.run_id}/{job.kind}/{job_id}",
        )
    return job


def job_view(job: Job) -> JobView:
    """A job as it is shown."""
    return JobView(
        job_id=job.id,
        kind=job.kind,
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
        progress_at=job.progress_at,
        worker=job.lease_owner,
        project=job.project,
    )
