"""Jobs of every kind that workers do: looked at, stopped, tried again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from loquela.jobs.records import INFERENCE, JobKind
from loquela.jobs.states import JobState
from loquela.service.authentication import Reader, Runner
from loquela.service.parts import parts_of
from loquela.service.queueing import Before, JobPage, JobView, Limit, find_job, job_view
from loquela.service.schemas import RunId

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    request: Request,
    key: Reader,
    before: Before = None,
    limit: Limit = 50,
    kind: JobKind | None = None,
    state: Annotated[list[JobState] | None, Query()] = None,
    run_id: Annotated[RunId | None, Query()] = None,
) -> JobPage:
    """Jobs, newest first."""
    page = parts_of(request).listing.page(
        before=before,
        limit=limit,
        kind=kind,
        without=INFERENCE,
        run_id=run_id,
        states=tuple(state) if state else None,
    )
    return JobPage(jobs=[job_view(job) for job in page.jobs], next_before=page.next_before)


@router.get("/{job_id}")
def get_job(job_id: RunId, request: Request, key: Reader) -> JobView:
    """One job: its state and why, and what came out."""
    return job_view(find_job(parts_of(request), job_id))


@router.post("/{job_id}/cancel")
def cancel(job_id: RunId, request: Request, key: Runner) -> JobView:
    """Stop a job. A run saves first; what other jobs were making is not kept half done."""
    parts = parts_of(request)
    return job_view(parts.requests.cancel(find_job(parts, job_id).id))


@router.post("/{job_id}/resume")
def resume(job_id: RunId, request: Request, key: Runner) -> JobView:
    """Queue a job again that was stopped, or failed."""
    parts = parts_of(request)
    job = parts.requests.resume(find_job(parts, job_id).id)
    parts.doorbell.ring(job.id, job.fence)
    return job_view(job)
