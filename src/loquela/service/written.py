"""Text as it is written, on the wire: begun before the answer's status is sent, ended when the reader goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from itertools import chain

import anyio
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import StreamingResponse

from loquela.core.errors import LoquelaError
from loquela.service.inference.engine_handle import Message

HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def written(
    answered: Generator[Message, None, None],
    event: Callable[[Message], str],
    fault: Callable[[LoquelaError], str],
    last: str = "",
) -> StreamingResponse:
    """An answer of server-sent events, one for each message; `fault` when it goes wrong halfway, `last` at the end.

    What goes wrong before the first message is raised here, and so has a status of its own.
    """
    first = next(answered)

    def lines() -> Generator[str, None, None]:
        try:
            for message in chain([first], answered):
                yield event(message)
        except LoquelaError as error:
            yield fault(error)
        if last:
            yield last

    return StreamingResponse(_closed_after(lines(), answered), media_type="text/event-stream", headers=HEADERS)


async def _closed_after(
    lines: Generator[str, None, None], answered: Generator[Message, None, None]
) -> AsyncIterator[str]:
    """`lines`; when the reader has gone, the model is told to stop, and nobody else waits for that."""
    try:
        async for line in iterate_in_threadpool(lines):
            yield line
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(lines.close)
            await run_in_threadpool(answered.close)
