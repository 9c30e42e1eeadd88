"""What is said about one job, as it happens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from loquela.jobs.states import TERMINAL
from loquela.service.authentication import Reader
from loquela.service.event_streams import open_stream, position_named
from loquela.service.parts import parts_of
from loquela.service.queueing import find_job
from loquela.service.schemas import RunId, shown
from loquela.service.streams import Batch

router = APIRouter(prefix="/jobs", tags=["events"])
After = Annotated[int, Query(ge=0, le=2**62, description="events behind this number")]


@router.get("/{job_id}/events/stream", response_class=StreamingResponse)
def job_events_stream(
    job_id: RunId,
    request: Request,
    key: Reader,
    after: After = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Events of one job as they happen; ends when the job has ended."""
    parts = parts_of(request)
    job = find_job(parts, job_id).id

    def behind(position: str) -> Batch:
        # First whether it has ended, then the events: the last one cannot be missed.
        more = parts.listing.get(job).state not in TERMINAL
        found = parts.events.after(int(position), job_id=job)
        return [(str(event.seq), event.name, shown(event).model_dump_json()) for event in found], more

    named = position_named(last_event_id)
    return open_stream(request, key, str(after if named is None else named), behind)
