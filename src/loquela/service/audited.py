"""Every request knows who asks; what was refused, and what changed something, is written down before it is answered.

Most acts write their own entry, in the transaction that does them. One that does not is written down here, so that no
route can be forgotten.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loquela.core.errors import LoquelaError
from loquela.jobs.actor import ACTOR, Actor
from loquela.jobs.audit import AuditLog
from loquela.service.limits import Limits

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = frozenset({401, 403})


class Audited:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, *, audit: AuditLog, limits: Limits) -> None:
        self._app = app
        self._audit = audit
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and write it down where it must be, before its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        actor = Actor(address=client[0] if client else "")
        token = ACTOR.set(actor)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                actor.request_id = str(scope.get("request_id", ""))
                await self._note(scope, actor, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            ACTOR.reset(token)

    async def _note(self, scope: Scope, actor: Actor, status: int) -> None:
        if status in REFUSED:
            # Strangers may be many and quick; the log is for reading.
            if not self._limits.may_note_refusal():
                return
            action, outcome = "refused", "denied"
        elif status < 400 and scope["method"] not in SAFE and actor.privileged and not actor.noted:
            action, outcome = "request", "done"
        else:
            return
        target = f"{scope['method']} {scope['path']}"
        try:
            await run_in_threadpool(self._audit.note, action, target, outcome=outcome, details={"status": status})
        except LoquelaError:
            # The database is away: nothing was changed in it either.
            return
