"""What was said about runs: in pages, and as it happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
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
After = Annotated[
    Annotated[int, Field(ge=0, le=2**62)] | Literal["latest"],
    Query(description="events behind this number; latest: behind the newest one, so from now on"),
]


@router.get("/events")
def events(
    request: Request, key: Reader, after: After = 0, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> EventPage:
    """Events of all runs, oldest first."""
    return _page(parts_of(request), after, limit, None)


@router.get("/events/stream", response_class=StreamingResponse)
def events_stream(
    request: Request, key: Reader, after: After = 0, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Events of all runs as they happen."""
    parts = parts_of(request)
    return _stream(request, parts, key, _start(parts, last_event_id, after, None), None)


@router.get("/runs/{run_id}/events")
def run_events(
    run_id: RunId, request: Request, key: Reader, after: After = 0, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> EventPage:
    """Events of one run, oldest first."""
    parts = parts_of(request)
    return _page(parts, after, limit, find_run(parts, run_id).run_id)


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
    run = find_run(parts, run_id).run_id
    return _stream(request, parts, key, _start(parts, last_event_id, after, run), run)


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

    start = str(_named(last_event_id) or 0)
    return _streams(request).open(request, start, after, _still(parts, key))


def _stream(request: Request, parts: Parts, key: KeyRecord, start: int, run_id: str | None) -> StreamingResponse:
    def after(position: str) -> Batch:
        # First whether it has ended, then the events: the last one cannot be missed.
        more = run_id is None or parts.listing.get(run_id).state not in TERMINAL
        found = parts.events.after(int(position), run_id=run_id)
        return [(str(event.seq), event.name, shown(event).model_dump_json()) for event in found], more

    return _streams(request).open(request, str(start), after, _still(parts, key))


def _page(parts: Parts, after: int | Literal["latest"], limit: int, run_id: str | None) -> EventPage:
    position = _behind(parts, after, run_id)
    found = parts.events.after(position, run_id=run_id, limit=limit)
    last = found[-1].seq if found else position
    # Events only become more: the newest is not older than what was just read.
    newest = max(last, parts.events.last_seq(run_id=run_id))
    return EventPage(events=[shown(event) for event in found], last_seq=last, newest=newest)


def _start(parts: Parts, last_event_id: str | None, after: int | Literal["latest"], run_id: str | None) -> int:
    named = _named(last_event_id)
    return _behind(parts, after, run_id) if named is None else named


def _named(last_event_id: str | None) -> int | None:
    return int(last_event_id) if last_event_id is not None and NUMBER.fullmatch(last_event_id) else None


def _behind(parts: Parts, after: int | Literal["latest"], run_id: str | None) -> int:
    return parts.events.last_seq(run_id=run_id) if after == "latest" else after


def _still(parts: Parts, key: KeyRecord) -> Callable[[], bool]:
    def still_allowed() -> bool:
        now = parts.keys.get(key.id)
        return now.revoked_at is None and (now.expires_at is None or now.expires_at > parts.clock.now())

    return still_allowed


def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams
