"""What was said about runs: in pages, and as it happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from loquela.jobs.states import TERMINAL
from loquela.service.authentication import Reader
from loquela.service.keys import KeyRecord
from loquela.service.logs import follow_log, read_log
from loquela.service.parts import Parts, parts_of
from loquela.service.routes.runs import find_run
from loquela.service.schemas import EventPage, RunId, shown
from loquela.service.streams import Batch, Streams

# What fits into a database and a file's length.
NUMBER = re.compile(r"[0-9]{1,18}")
router = APIRouter(tags=["events"])
After = Annotated[int, Query(ge=0, le=2**62, description="events behind this number")]


@router.get("/events")
def events(
    request: Request, key: Reader, after: After = 0, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> EventPage:
    """Events of all runs, oldest first."""
    found = parts_of(request).events.after(after, limit=limit)
    return EventPage(events=[shown(event) for event in found], last_seq=found[-1].seq if found else after)


@router.get("/events/stream", response_class=StreamingResponse)
def events_stream(
    request: Request, key: Reader, after: After = 0, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Events of all runs as they happen."""
    parts = parts_of(request)
    return _stream(request, parts, key, _start(last_event_id, after), None)


@router.get("/runs/{run_id}/events")
def run_events(
    run_id: RunId, request: Request, key: Reader, after: After = 0, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> EventPage:
    """Events of one run, oldest first."""
    parts = parts_of(request)
    found = parts.events.after(after, run_id=find_run(parts, run_id).run_id, limit=limit)
    return EventPage(events=[shown(event) for event in found], last_seq=found[-1].seq if found else after)


@router.get("/runs/{run_id}/events/stream", response_class=StreamingResponse)
def run_events_stream(
    run_id: RunId,
    request: Request,
    key: Reader,
    after: After = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Events of one run as they happen; ends when the run has ended."""
    parts = parts_of(request)
    return _stream(request, parts, key, _start(last_event_id, after), find_run(parts, run_id).run_id)


@router.get("/runs/{run_id}/logs")
def logs(
    run_id: RunId, request: Request, key: Reader, lines: Annotated[int, Query(ge=1, le=10_000)] = 200
) -> dict[str, list[str]]:
    """The newest lines of the run's log."""
    parts = parts_of(request)
    return {"lines": read_log(parts.run_folder(find_run(parts, run_id).run_id), lines)}


@router.get("/runs/{run_id}/logs/stream", response_class=StreamingResponse)
def logs_stream(
    run_id: RunId, request: Request, key: Reader, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """The run's log from its beginning, line by line, as it is written; ends when the run has ended."""
    parts = parts_of(request)
    folder = parts.run_folder(find_run(parts, run_id).run_id)

    def after(position: str) -> Batch:
        ended = parts.listing.get(run_id).state in TERMINAL
        return follow_log(folder, position), not ended

    start = str(_start(last_event_id, 0))
    return _streams(request).open(request, start, after, _still(parts, key))


def _stream(request: Request, parts: Parts, key: KeyRecord, start: int, run_id: str | None) -> StreamingResponse:
    def after(position: str) -> Batch:
        # First whether it has ended, then the events: the last one cannot be missed.
        more = run_id is None or parts.listing.get(run_id).state not in TERMINAL
        found = parts.events.after(int(position), run_id=run_id)
        return [(str(event.seq), event.name, shown(event).model_dump_json()) for event in found], more

    return _streams(request).open(request, str(start), after, _still(parts, key))


def _start(last_event_id: str | None, after: int) -> int:
    return int(last_event_id) if last_event_id is not None and NUMBER.fullmatch(last_event_id) else after


def _still(parts: Parts, key: KeyRecord) -> Callable[[], bool]:
    def still_allowed() -> bool:
        now = parts.keys.get(key.id)
        return now.revoked_at is None and (now.expires_at is None or now.expires_at > parts.clock.now())

    return still_allowed


def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams
