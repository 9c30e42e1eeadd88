"""A stand-in for Discord on 127.0.0.1 with its REST routes and gateway, in a thread of its own.

It refuses what Discord refuses (a wrong token, embeds that are too large, a message that is not there), takes a nonce
once, and fails as Discord does when a test asks for it.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from aiohttp import web

from discord_gateway import Gateway

TOKEN = "MTA5ODc2NTQzMjEwOTg3NjU0.GaBcDe.the-token-of-the-fake-bot-0000"  # noqa: S105 - of the stand-in only
OWNER, SECOND_OWNER, STRANGER = 111111111111111111, 222222222222222222, 333333333333333333
APPLICATION = "987654321098765432"
BOT = {
    "id": APPLICATION, "username": "loquela", "discriminator": "0", "avatar": None, "global_name": None, "bot": True,
}  # fmt: skip
COMMAND, AUTOCOMPLETE = 2, 4
EPHEMERAL, SILENT = 64, 4096


@dataclass
class Message:
    """One message as it stands, and how it came to stand so."""

    id: str
    channel: str
    body: dict
    files: dict[str, bytes]
    edits: list[dict] = field(default_factory=list)
    deleted: bool = False

    @property
    def embed(self) -> dict:
        return (self.body.get("embeds") or [{}])[0]

    @property
    def text(self) -> str:
        return json.dumps(self.body, ensure_ascii=False)


@dataclass
class Asked:
    """A command that was given, and what came back: the kind of the first answer, and what is shown."""

    id: str
    token: str
    kind: int | None = None
    body: dict = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    first: threading.Event = field(default_factory=threading.Event)

    def answer(self, timeout: float = 90) -> dict:
        assert self.done.wait(timeout), "no answer came"
        return self.body

    @property
    def text(self) -> str:
        return json.dumps(self.body, ensure_ascii=False)


@dataclass
class Fault:
    """The next `times` requests that fit get this answer instead."""

    method: str
    path: str
    status: int
    body: dict
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    after_doing: bool = False


class DiscordServer:
    """The whole of it; every method may be called from any thread."""

    def __init__(self) -> None:
        self.gateway = Gateway(TOKEN, BOT, APPLICATION)
        self.messages: list[Message] = []
        self.requests: list[tuple[float, str, str]] = []
        self.commands: list[dict] = []
        self.closed_to: set[int] = set()
        self.faults: list[Fault] = []
        self.attachments: dict[str, bytes] = {}
        self.asked: dict[str, Asked] = {}
        self.wrong: list[str] = []
        self._numbers = count(1_300_000_000_000_000_000)
        self._nonces: dict[tuple[str, str], Message] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        self.gateway.address = f"ws://127.0.0.1:{self.port}/gateway"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v10"

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        assert not self.wrong, self.wrong

    def do(self, coroutine) -> object:
        """Run something of the gateway."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def fail(self, method: str, path: str, status: int, body: dict | None = None, **more) -> None:
        self.faults.append(Fault(method, path, status, body or {}, **more))

    def too_many(self, method: str, path: str, seconds: float, *, everywhere: bool = False, times: int = 1) -> None:
        """HTTP 429 as Discord says it."""
        body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere}
        headers = {"Retry-After": str(seconds), "X-RateLimit-Scope": "global" if everywhere else "user"}
        self.fail(method, path, 429, body, headers=headers, times=times)

    def ask(self, name: str, user: int = OWNER, guild: int | None = None, kind: int = COMMAND, **options) -> Asked:
        """A user gives a command; `name` may be "trainer status". An option may be (filename, bytes)."""
        number = str(next(self._numbers))
        asked = self.asked[number] = Asked(number, f"token-of-{number}")
        given, resolved = [], {}
        for key, value in options.items():
            if isinstance(value, tuple):
                filename, data = value
                place = str(next(self._numbers))
                self.attachments[place] = data
                url = f"http://127.0.0.1:{self.port}/attachments/{place}/{filename}"
                resolved[place] = {
                    "id": place, "filename": filename, "size": len(data), "url": url, "proxy_url": url,
                }  # fmt: skip
                given.append({"name": key, "type": 11, "value": place})
            else:
                given.append({"name": key, "type": 4 if isinstance(value, int) else 3, "value": value})
        if kind == AUTOCOMPLETE and given:
            given[-1]["focused"] = True
        data: dict = {"id": "1", "type": 1, "name": name, "options": given}
        if " " in name:
            group, inner = name.split()
            data = {"id": "1", "type": 1, "name": group, "options": [{"name": inner, "type": 1, "options": given}]}
        if resolved:
            data["resolved"] = {"attachments": resolved}
        person = _person(user)
        payload = {
            "id": number, "application_id": APPLICATION, "type": kind, "token": asked.token, "version": 1, "data": data,
            "attachment_size_limit": 10_000_000, "entitlements": [], "app_permissions": "0", "locale": "en-US",
            "authorizing_integration_owners": {}, "context": 1 if guild is None else 0,
            "channel": {"id": _channel_of(user), "type": 1, "recipients": [person], "last_message_id": None},
        }  # fmt: skip
        if guild is None:
            payload["user"] = person
        else:
            payload["guild_id"] = str(guild)
            payload["channel"] = {"id": "5", "type": 0, "name": "general", "guild_id": str(guild), "position": 0}
            payload["member"] = {
                "user": person, "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False,
                "permissions": "0", "flags": 0,
            }  # fmt: skip
        self.do(self.gateway.dispatch("INTERACTION_CREATE", payload))
        return asked

    def to(self, user: int, *, deleted: bool = False) -> list[Message]:
        """The messages that a user sees now."""
        return [m for m in self.messages if m.channel == _channel_of(user) and m.deleted is deleted]

    def until(self, fits: Callable[[], object], timeout: float = 90) -> object:
        """Wait for something to come true; it is returned."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = fits()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"it did not happen; requests: {self.requests[-8:]}, gateway: {self.gateway.log}")

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/attachments/{place}/{name}", self._attachment)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def _attachment(self, request: web.Request) -> web.Response:
        data = self.attachments.get(request.match_info["place"])
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"]
        self.requests.append((time.monotonic(), request.method, path))
        fault = next((f for f in self.faults if f.method == request.method and re.fullmatch(f.path, path)), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            if fault.after_doing:
                await self._answer(request, path)
            if fault.status == 0:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return _json(fault.body, fault.status, fault.headers)
        return await self._answer(request, path)

    async def _answer(self, request: web.Request, path: str) -> web.Response:
        hooked = path.startswith(("/interactions/", "/webhooks/"))
        if not hooked and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return _json({"message": "401: Unauthorized", "code": 0}, 401)
        body, files = await _read(request)
        problem = _problem_of(body.get("data") or body if isinstance(body, dict) else {})
        if problem:
            self.wrong.append(f"{request.method} {path}: {problem}")
            return _json({"message": "Invalid Form Body", "code": 50035, "errors": {"why": problem}}, 400)
        for method, pattern, handler in self._routes():
            found = re.fullmatch(pattern, path)
            if found and method == request.method:
                return handler(body, files, *found.groups())
        self.wrong.append(f"no such route: {request.method} {path}")
        return _json({"message": "404: Not Found", "code": 0}, 404)

    def _routes(self) -> list[tuple]:
        return [
            ("GET", r"/users/@me", lambda body, files: _json(BOT)),
            ("GET", r"/oauth2/applications/@me", lambda body, files: _json(_application())),
            ("PUT", r"/applications/(\d+)/commands", self._set_commands),
            ("POST", r"/users/@me/channels", self._open_channel),
            ("POST", r"/channels/(\d+)/messages", self._send),
            ("PATCH", r"/channels/(\d+)/messages/(\d+)", self._edit),
            ("DELETE", r"/channels/(\d+)/messages/(\d+)", self._delete),
            ("POST", r"/interactions/(\d+)/([\w-]+)/callback", self._first_answer),
            ("PATCH", r"/webhooks/(\d+)/([\w-]+)/messages/@original", self._later_answer),
            ("POST", r"/webhooks/(\d+)/([\w-]+)", self._later_answer),
        ]

    def _set_commands(self, body, files, application: str) -> web.Response:
        assert application == APPLICATION
        self.commands = body
        made = [
            {"id": str(number), "application_id": APPLICATION, "version": "1", **one}
            for number, one in enumerate(body, start=1)
        ]
        return _json(made)

    def _open_channel(self, body, files) -> web.Response:
        user = int(body["recipient_id"])
        return _json({"id": _channel_of(user), "type": 1, "recipients": [_person(user)], "last_message_id": None})

    def _send(self, body, files, channel: str) -> web.Response:
        if any(channel == _channel_of(user) for user in self.closed_to):
            return _json({"message": "Cannot send messages to this user", "code": 50007}, 403)
        nonce = body.get("nonce")
        if nonce is not None and len(nonce) > 25:
            self.wrong.append(f"nonce of {len(nonce)} characters")
        if body.get("enforce_nonce") and (channel, nonce) in self._nonces:
            return _json(_message_of(self._nonces[channel, nonce]))
        message = Message(str(next(self._numbers)), channel, body, files)
        self.messages.append(message)
        if nonce is not None:
            self._nonces[channel, nonce] = message
        return _json(_message_of(message))

    def _edit(self, body, files, channel: str, number: str) -> web.Response:
        message = self._find(number)
        if message is None:
            return _json({"message": "Unknown Message", "code": 10008}, 404)
        message.edits.append(body)
        message.body = {**message.body, **body}
        message.files = files
        return _json(_message_of(message))

    def _delete(self, body, files, channel: str, number: str) -> web.Response:
        message = self._find(number)
        if message is None:
            return _json({"message": "Unknown Message", "code": 10008}, 404)
        message.deleted = True
        return web.Response(status=204)

    def _find(self, number: str) -> Message | None:
        return next((m for m in self.messages if m.id == number and not m.deleted), None)

    def _first_answer(self, body, files, number: str, token: str) -> web.Response:
        asked = self.asked[number]
        if token != asked.token or asked.kind is not None:
            return _json({"message": "Interaction has already been acknowledged.", "code": 40060}, 400)
        asked.kind, asked.body, asked.files = body["type"], body.get("data") or {}, files
        asked.first.set()
        if asked.kind != 5:
            asked.done.set()
        return _json({"interaction": {"id": number, "type": 2}})

    def _later_answer(self, body, files, application: str, token: str) -> web.Response:
        asked = next(one for one in self.asked.values() if one.token == token)
        asked.body, asked.files = {**asked.body, **body}, files
        asked.done.set()
        return _json(_message_of(Message(str(next(self._numbers)), "1", body, files)))


async def _read(request: web.Request) -> tuple[dict | list, dict[str, bytes]]:
    if request.content_type.startswith("multipart/"):
        files, body = {}, {}
        async for part in await request.multipart():
            if part.name == "payload_json":
                body = json.loads(await part.text())
            else:
                files[part.filename] = bytes(await part.read())
        return body, files
    text = await request.text()
    return (json.loads(text) if text else {}), {}


def _problem_of(body: dict) -> str:
    """What Discord would refuse of a message; mentions must be off in every one."""
    if not isinstance(body, dict) or ("embeds" not in body and "content" not in body):
        return ""
    mentions = body.get("allowed_mentions")
    if mentions is None or mentions.get("parse") != [] or mentions.get("users") or mentions.get("roles"):
        return f"allowed_mentions: {mentions}"
    if len(body.get("content") or "") > 2000:
        return "content"
    total = 0
    for embed in body.get("embeds") or []:
        sizes = {"title": 256, "description": 4096}
        for key, most in sizes.items():
            if len(embed.get(key) or "") > most:
                return key
            total += len(embed.get(key) or "")
        for one in embed.get("fields") or []:
            if not one["name"] or not one["value"] or len(one["name"]) > 256 or len(one["value"]) > 1024:
                return f"field {one}"
            total += len(one["name"]) + len(one["value"])
        if len(embed.get("fields") or []) > 25:
            return "fields"
        total += len((embed.get("footer") or {}).get("text", ""))
    return "size" if total > 6000 else ""


def _json(body, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Discord's content type has no charset, and 429 is believed only when it came through its proxy."""
    told = {"Content-Type": "application/json", "Via": "1.1 google", **(headers or {})}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=told)


def _person(user: int) -> dict:
    return {"id": str(user), "username": f"user{user}", "discriminator": "0", "avatar": None, "global_name": None}


def _channel_of(user: int) -> str:
    return str(user + 1)


def _application() -> dict:
    return {
        "id": APPLICATION, "name": "loquela", "description": "", "icon": None, "bot_public": False,
        "bot_require_code_grant": False, "owner": _person(OWNER), "verify_key": "00", "flags": 0,
    }  # fmt: skip


def _message_of(message: Message) -> dict:
    return {
        "id": message.id, "channel_id": message.channel, "type": 0, "content": message.body.get("content") or "",
        "author": BOT, "timestamp": "2026-11-22T14:00:00+00:00", "edited_timestamp": None, "tts": False,
        "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": [], "pinned": False,
        "embeds": message.body.get("embeds") or [], "nonce": message.body.get("nonce"),
    }  # fmt: skip
