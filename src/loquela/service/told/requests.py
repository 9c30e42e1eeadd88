"""A line for every request: what was asked, by whom, how it ended, how long it took."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loquela.jobs.actor import current_actor
from loquela.monitoring.log_streams import Level
from loquela.service.told.streams import ServiceLog

QUIET = ("/healthz", "/readyz")


class Told:
    """ASGI middleware inside `Audited`, which knows who asks. An answer is told when it begins, a stream too."""

    def __init__(self, app: ASGIApp, *, log: ServiceLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                await run_in_threadpool(self._tell, scope, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, noted)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        path: str = scope["path"]
        level: Level = "error" if status >= 500 else "warning" if status >= 400 else "info"
        if path in QUIET and status < 400:
            level = "debug"
        actor = current_actor()
        parameters = scope.get("path_params") or {}
        self._log.system(
            level,
            f"{scope['method']} {path}",
            event="service.request.v1",
            status=status,
            milliseconds=round(seconds * 1000, 1),
            request_id=str(scope.get("request_id", "")),
            run_id=parameters.get("run_id"),
            key=actor.name,
            address=actor.address,
            error_code=scope.get("error_code"),
        )
