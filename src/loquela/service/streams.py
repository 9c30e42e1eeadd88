"""Following what happens: server-sent events that begin where the reader left off and never lose one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from loquela.core.errors import ErrorCode, LimitError, LoquelaError, ResourceError
from loquela.jobs.actor import current_actor
from loquela.jobs.settings import ServiceSettings

LOOK_EVERY_SECONDS = 0.25
KEEP_ALIVE_SECONDS = 15.0
KEY_CHECK_SECONDS = 4.0
AWAY_SECONDS = 2.0
Item = TypeVar("Item")
# (position, name, data) of what follows a position, in order, and whether more can come.
Batch = tuple[list[tuple[str, str, str]], bool]


class Streams:
    """Counts open streams; one more than allowed is refused, so that readers cannot starve the rest."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._open: Counter[str] = Counter()

    def open(
        self, request: Request, position: str, after: Callable[[str], Batch], still_allowed: Callable[[], bool]
    ) -> StreamingResponse:
        """An answer that sends what `after` finds behind `position`, until there can be no more or the reader goes.

        Raises ResourceError(INSUFFICIENT_RESOURCES) when too many are open, LimitError(RATE_LIMITED) when the key that
        asks has too many of them.
        """
        reader = current_actor().name
        if self._open[reader] >= self._settings.max_streams_per_key:
            raise LimitError(
                ErrorCode.RATE_LIMITED,
                f"this key has {self._settings.max_streams_per_key} event streams open, which is the most",
                "close one, or follow several runs over one stream: GET /events/stream",
                retryable=True,
                details={"retry_after_seconds": 5},
            )
        if self._open.total() >= self._settings.max_streams:
            raise ResourceError(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"{self._settings.max_streams} event streams are open, which is the most",
                "close one, follow several runs over one stream, or raise max_streams",
                retryable=True,
            )
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        body = self._counted(reader, _sent(request, position, after, still_allowed))
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def _counted(self, reader: str, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._open[reader] += 1
        try:
            # Many may have been let in at one moment, before any was counted.
            within = self._open[reader] <= self._settings.max_streams_per_key
            if within and self._open.total() <= self._settings.max_streams:
                async for part in body:
                    yield part
        finally:
            self._open[reader] -= 1
            if not self._open[reader]:
                del self._open[reader]


async def _sent(
    request: Request, position: str, after: Callable[[str], Batch], still_allowed: Callable[[], bool]
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    said_at = checked_at = loop.time()
    yield b": here\n\n"
    while not await request.is_disconnected():
        try:
            if loop.time() - checked_at >= KEY_CHECK_SECONDS:
                if not await run_in_threadpool(still_allowed):
                    return
                checked_at = loop.time()
            found, more = await run_in_threadpool(after, position)
        except LoquelaError as error:
            if error.code is not ErrorCode.PERSISTENCE_FAILED:
                raise
            yield b": the database is away; what happens meanwhile follows when it is back\n\n"
            await asyncio.sleep(AWAY_SECONDS)
            continue
        for position, name, data in found:
            yield _event(position, name, data)
        now = loop.time()
        if found:
            said_at = now
        elif not more:
            yield _event(position, "end", "{}")
            return
        elif now - said_at >= KEEP_ALIVE_SECONDS:
            said_at = now
            yield b": still here\n\n"
        if not found:
            await asyncio.sleep(LOOK_EVERY_SECONDS)


def _event(position: str, name: str, data: str) -> bytes:
    """One event on the wire; a line end inside the data begins another data line, so none can be forged."""
    lines = [
        f"id: {position}",
        f"event: {' '.join(name.split())}",
        *(f"data: {line}" for line in data.splitlines() or [""]),
    ]
    return ("\n".join(lines) + "\n\n").encode("utf-8")
