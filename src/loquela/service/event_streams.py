"""What was said about a run, a job or all of them: a page of it, and a stream that goes on as long as its key may."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import StreamingResponse

from loquela.jobs.states import TERMINAL
from loquela.service.keys import KeyRecord
from loquela.service.parts import Parts, parts_of
from loquela.service.schemas import EventPage, shown
from loquela.service.streams import Batch, Streams

# What fits into a database and a file's length.
NUMBER = re.compile(r"[0-9]{1,18}")
After = Annotated[
    Annotated[int, Field(ge=0, le=2**62)] | Literal["latest"],
    Query(description="events behind this number; latest: behind the newest one, so from now on"),
]
Limit = Annotated[int, Query(ge=1, le=500)]


@dataclass(frozen=True)
class About:
    """Whose events: those of a run, those of a job, or all."""

    run_id: str | None = None
    job_id: str | None = None

    @property
    def ends_with(self) -> str | None:
        """The job whose end is the end of the stream; a run's id is that of its job."""
        return self.job_id or self.run_id


def page(parts: Parts, about: About, after: int | Literal["latest"], limit: int) -> EventPage:
    """At most `limit` events, oldest first."""
    position = _behind(parts, about, after)
    found = parts.events.after(position, run_id=about.run_id, job_id=about.job_id, limit=limit)
    last = found[-1].seq if found else position
    # Events only become more: the newest is not older than what was just read.
    newest = max(last, parts.events.last_seq(run_id=about.run_id, job_id=about.job_id))
    return EventPage(events=[shown(event) for event in found], last_seq=last, newest=newest)


def stream(
    request: Request, key: KeyRecord, about: About, last_event_id: str | None, after: int | Literal["latest"]
) -> StreamingResponse:
    """Events as they happen, until what they are about has ended."""
    parts = parts_of(request)
    named = position_named(last_event_id)

    def behind(position: str) -> Batch:
        # First whether it has ended, then the events: the last one cannot be missed.
        more = about.ends_with is None or parts.listing.get(about.ends_with).state not in TERMINAL
        found = parts.events.after(int(position), run_id=about.run_id, job_id=about.job_id)
        return [(str(event.seq), event.name, shown(event).model_dump_json()) for event in found], more

    return open_stream(request, key, str(_behind(parts, about, after) if named is None else named), behind)


def position_named(last_event_id: str | None) -> int | None:
    """What a reader says it has seen last; None where that is no number of ours."""
    return int(last_event_id) if last_event_id is not None and NUMBER.fullmatch(last_event_id) else None


def open_stream(request: Request, key: KeyRecord, position: str, after: Callable[[str], Batch]) -> StreamingResponse:
    """The stream behind `position`, until there is no more or the key is revoked or too old; errors as `Streams`."""
    parts = parts_of(request)

    def still_allowed() -> bool:
        now = parts.keys.get(key.id)
        return now.revoked_at is None and (now.expires_at is None or now.expires_at > parts.clock.now())

    streams: Streams = request.app.state.streams
    return streams.open(request, position, after, still_allowed)


def _behind(parts: Parts, about: About, after: int | Literal["latest"]) -> int:
    return parts.events.last_seq(run_id=about.run_id, job_id=about.job_id) if after == "latest" else after
