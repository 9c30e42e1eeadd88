"""The gateway of a local stand-in for Discord: hello, identify, resume, heartbeats, dispatch, and its ways to fail."""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass, field
from itertools import count

from aiohttp import WSMsgType, web

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11


@dataclass
class Session:
    """What Discord keeps of a client that identified: everything it was sent, to send it again on resume."""

    id: str
    intents: int
    sent: list[dict] = field(default_factory=list)
    valid: bool = True


@dataclass
class Gateway:
    """All sockets and sessions. `acks` off: heartbeats are heard and not answered. `open` off: nobody gets in."""

    token: str
    user: dict
    application_id: str
    address: str = ""
    heartbeat_seconds: float = 41.25
    acks: bool = True
    open: bool = True
    sessions: list[Session] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None
    current: Session | None = None
    _numbers: count = field(default_factory=lambda: count(1))
    _squeeze: object = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not self.open:
            self.log.append("turned away")
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        self._squeeze = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        self.log.append("connected")
        await self._send(socket, {"op": HELLO, "d": {"heartbeat_interval": self.heartbeat_seconds * 1000}})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._hear(socket, json.loads(message.data))
        self.log.append(f"closed {socket.close_code}")
        return socket

    async def _hear(self, socket: web.WebSocketResponse, said: dict) -> None:
        op, data = said["op"], said.get("d")
        if op == HEARTBEAT:
            if self.acks:
                await self._send(socket, {"op": ACK})
        elif op == IDENTIFY:
            self.log.append("identify")
            if data["token"] != self.token:
                await socket.close(code=4004)
                return
            session = Session(f"session-{next(self._numbers)}", data["intents"])
            self.sessions.append(session)
            self.socket, self.current = socket, session
            ready = {
                "v": 10, "user": self.user, "guilds": [], "session_id": session.id,
                "resume_gateway_url": self.address, "application": {"id": self.application_id, "flags": 0},
            }  # fmt: skip
            await self.dispatch("READY", ready)
        elif op == RESUME:
            session = next((one for one in self.sessions if one.id == data["session_id"] and one.valid), None)
            if session is None or data["token"] != self.token:
                self.log.append("resume refused")
                await self._send(socket, {"op": INVALID_SESSION, "d": False})
                return
            self.log.append("resume")
            self.socket, self.current = socket, session
            for missed in [one for one in session.sent if one["s"] > (data["seq"] or 0)]:
                await self._send(socket, missed)
            await self.dispatch("RESUMED", {})

    async def dispatch(self, name: str, data: dict) -> None:
        """One event, to the socket of the day where there is one; a resumed session gets it later otherwise."""
        session = self.current
        assert session is not None
        message = {"op": DISPATCH, "t": name, "s": len(session.sent) + 1, "d": data}
        session.sent.append(message)
        if self.socket is not None and not self.socket.closed:
            await self._send(self.socket, message)

    async def close(self, code: int) -> None:
        """Close with one of Discord's codes."""
        if self.socket is not None:
            await self.socket.close(code=code)

    async def drop(self) -> None:
        """Break the connection without a word."""
        if self.socket is not None and self.socket._req.transport is not None:
            self.socket._req.transport.abort()
            await asyncio.sleep(0)

    async def ask_to_reconnect(self) -> None:
        """Opcode 7."""
        if self.socket is not None:
            await self._send(self.socket, {"op": RECONNECT, "d": None})

    async def invalidate(self) -> None:
        """Opcode 9 without a way back: the session is over."""
        for session in self.sessions:
            session.valid = False
        if self.socket is not None:
            await self._send(self.socket, {"op": INVALID_SESSION, "d": False})

    async def _send(self, socket: web.WebSocketResponse, message: dict) -> None:
        text = json.dumps(message)
        if self._squeeze is None:
            await socket.send_str(text)
        else:
            await socket.send_bytes(self._squeeze.compress(text.encode()) + self._squeeze.flush(zlib.Z_SYNC_FLUSH))
