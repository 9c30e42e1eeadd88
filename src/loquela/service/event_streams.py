"""A stream of a route: where it begins, and for how long its key lets it go on."""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi import Request
from starlette.responses import StreamingResponse

from loquela.service.keys import KeyRecord
from loquela.service.parts import parts_of
from loquela.service.streams import Batch, Streams

# What fits into a database and a file's length.
NUMBER = re.compile(r"[0-9]{1,18}")


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
