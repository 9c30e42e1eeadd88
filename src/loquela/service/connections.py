"""Connections that are opened to do harm: many at once, headers that never end, readers that never read."""

from __future__ import annotations

import asyncio
import socket
from typing import TypeGuard

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from loquela.core.errors import ErrorCode, InternalError

# From the first byte of a request, or from connecting, to the end of its headers.
HEADERS_SECONDS = 20.0
# Nothing of an answer taken for so long: the kernel ends the connection.
UNREAD_SECONDS = 60


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with an end to its patience."""

    _ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One connection more; one too many is closed before it says anything."""
        if not _goes_both_ways(transport):
            raise InternalError(ErrorCode.INTERNAL, "a connection that cannot be written to", "report it")
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            transport.abort()
            return
        self._begin()

    def data_received(self, data: bytes) -> None:
        """Bytes came; a request that has begun must become whole in time."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end()
        elif self._ending is None:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._ending = self.loop.call_later(HEADERS_SECONDS, self.transport.abort)

    def _end(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None


def _goes_both_ways(transport: asyncio.BaseTransport) -> TypeGuard[asyncio.Transport]:
    """What uvloop makes is no asyncio.Transport by name, only by what it can."""
    return hasattr(transport, "write") and hasattr(transport, "abort")


def end_unread(listener: socket.socket) -> None:
    """Let the kernel end connections of `listener` whose other side takes nothing; where it can."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
