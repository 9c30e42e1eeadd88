"""What was said about runs and jobs: in pages, and as it happens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from loquela.jobs.states import TERMINAL
from loquela.service.authentication import Reader
from loquela.service.event_streams import About, After, Limit, open_stream, page, position_named, stream
from loquela.service.logs import follow_log, read_log
from loquela.service.parts import Parts, parts_of
from loquela.service.queueing import find_job
from loquela.service.routes.runs import find_run
from loquela.service.schemas import EventPage, RunId
from loquela.service.streams import Batch

router = APIRouter(tags=["events"])
LastEventId = Annotated[str | None, Header()]


@router.get("/events")
def events(request: Request, key: Reader, after: After = 0, limit: Limit = 100) -> EventPage:
    """Events of all runs, oldest first."""
    return page(parts_of(request), About(), after, limit)


@router.get("/events/stream", response_class=StreamingResponse)
def events_stream(
    request: Request, key: Reader, after: After = 0, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Events of all runs as they happen."""
    return stream(request, key, About(), last_event_id, after)


@router.get("/runs/{run_id}/events")
def run_events(run_id: RunId, request: Request, key: Reader, after: After = 0, limit: Limit = 100) -> EventPage:
    """Events of one run, oldest first."""
    parts = parts_of(request)
    return page(parts, _run(parts, run_id), after, limit)


@router.get("/runs/{run_id}/events/stream", response_class=StreamingResponse)
def run_events_stream(
    run_id: RunId, request: Request, key: Reader, after: After = 0, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Events of one run as they happen; ends when the run has ended."""
    return stream(request, key, _run(parts_of(request), run_id), last_event_id, after)


@router.get("/jobs/{job_id}/events")
def job_events(job_id: RunId, request: Request, key: Reader, after: After = 0, limit: Limit = 100) -> EventPage:
    """Events of one job, oldest first."""
    parts = parts_of(request)
    return page(parts, About(job_id=find_job(parts, job_id).id), after, limit)


@router.get("/jobs/{job_id}/events/stream", response_class=StreamingResponse)
def job_events_stream(
    job_id: RunId, request: Request, key: Reader, after: After = 0, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Events of one job as they happen; ends when the job has ended."""
    about = About(job_id=find_job(parts_of(request), job_id).id)
    return stream(request, key, about, last_event_id, after)


@router.get("/runs/{run_id}/logs")
def logs(
    run_id: RunId, request: Request, key: Reader, lines: Annotated[int, Query(ge=1, le=10_000)] = 200
) -> dict[str, list[str]]:
    """The newest lines of the run's log."""
    parts = parts_of(request)
    return {"lines": read_log(parts.run_folder(find_run(parts, run_id).run_id), lines)}


@router.get("/runs/{run_id}/logs/stream", response_class=StreamingResponse)
def logs_stream(run_id: RunId, request: Request, key: Reader, last_event_id: LastEventId = None) -> StreamingResponse:
    """The run's log from its beginning, line by line, as it is written; ends when the run has ended."""
    parts = parts_of(request)
    folder = parts.run_folder(find_run(parts, run_id).run_id)

    def after(position: str) -> Batch:
        ended = parts.listing.get(run_id).state in TERMINAL
        return follow_log(folder, position), not ended

    return open_stream(request, key, str(position_named(last_event_id) or 0), after)


def _run(parts: Parts, run_id: str) -> About:
    return About(run_id=find_run(parts, run_id).run_id)
