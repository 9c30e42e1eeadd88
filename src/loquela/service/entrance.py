"""Behind the guard: nobody's body is read before their key is known, and a body has bounds and one meaning."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.service.authentication import SAFE_METHODS, caller
from loquela.service.bodies import Body, replayed
from loquela.service.errors import answer, plain_answer, request_id_of
from loquela.service.strict_json import check_json

UPLOAD_PATHS = frozenset({"/v1/files"})
# What a form has around the file itself.
FORM_BYTES = 65_536
# Above this, reading JSON would keep others waiting.
LONG_BYTES = 65_536


class UnsupportedBody(RecipeError):
    """A body in a form that nobody here takes apart."""

    http_status = 415


class Entrance:
    """ASGI middleware: requests that only read pass, all others show a key first."""

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on with a body that is bounded."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        upload = self._settings.max_upload_bytes + FORM_BYTES
        most = upload if scope["path"] in UPLOAD_PATHS else self._settings.max_body_bytes
        body = Body(receive, most)

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.done:
                # Who still sends must not keep the connection for that.
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        request = Request(scope)
        refused: Response | None = None
        try:
            await run_in_threadpool(caller, request)
            handed = await self._checked(Headers(scope=scope), body)
        except LoquelaError as error:
            refused = answer(error, request_id_of(request))
        except HTTPException as error:
            refused = plain_answer(error.status_code, str(error.detail), request_id_of(request))
        if refused is not None:
            await body.drain()
            await refused(scope, receive, closing)
            return
        await self._app(scope, handed, closing)

    async def _checked(self, headers: Headers, body: Body) -> Receive:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedBody(
                ErrorCode.CONFIG_INVALID, "a packed body is not unpacked here", "send it without Content-Encoding"
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            return body.receive
        whole = await body.whole()
        if whole is None:
            return body.receive
        if len(whole) > LONG_BYTES:
            await run_in_threadpool(check_json, whole)
        else:
            check_json(whole)
        return replayed(whole, body.receive)
