"""The body of a request: so large at most, and so slow at most."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

# A body may take this long, and a second more for each so many bytes.
PATIENCE_SECONDS = 20.0
SLOWEST_BYTES_PER_SECOND = 4096
# Of a request that is refused: read so that its sender hears why, but not more.
DRAINED_BYTES, DRAINED_SECONDS = 1 << 20, 2.0


class Body:
    """`receive` of a request with bounds."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self.done = False
        self._receive = receive
        self._most_bytes = most_bytes
        self._taken = 0
        self._until = asyncio.get_running_loop().time() + PATIENCE_SECONDS

    async def receive(self) -> Message:
        """The next part; HTTPException 413 for too much, 408 for too slow. What follows the body has no bounds."""
        if self.done:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until + self._taken / SLOWEST_BYTES_PER_SECOND):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request's body comes too slowly") from error
        self._taken += len(message.get("body", b""))
        self.done = message["type"] != "http.request" or not message.get("more_body", False)
        if self._taken > self._most_bytes:
            raise HTTPException(413, f"a request's body may have {self._most_bytes} bytes")
        return message

    async def whole(self) -> bytes | None:
        """All of it; None when the sender has gone. Errors as `receive`."""
        parts = []
        while not self.done:
            message = await self.receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def drain(self) -> None:
        """Read on for a moment, so that the sender has finished and hears the answer."""
        loop = asyncio.get_running_loop()
        self._until = min(self._until, loop.time() + DRAINED_SECONDS)
        self._most_bytes = min(self._most_bytes, DRAINED_BYTES)
        try:
            while not self.done:
                await self.receive()
        except HTTPException:
            # Too much or too slow: then it hears nothing.
            return


def replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` that gives a body that was read already, then goes on."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
