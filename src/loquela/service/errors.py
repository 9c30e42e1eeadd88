"""One shape for everything that goes wrong: code, message, remedy, request id."""

from __future__ import annotations

import traceback
from contextlib import suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from loquela.core.errors import AccessError, ErrorCode, InternalError, LoquelaError, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.event_log import EventLog
from loquela.service.headers import SECURITY_HEADERS
from loquela.service.told.streams import ServiceLog

NOT_FOUND = frozenset({ErrorCode.RUN_NOT_FOUND, ErrorCode.DATASET_NOT_FOUND, ErrorCode.DATA_NOT_FOUND})
REMEDIES = {
    408: "send it in one go",
    413: "send less, or raise max_body_bytes or max_upload_bytes in the service's settings",
}
CONFLICT = frozenset({ErrorCode.INVALID_STATE, ErrorCode.RUN_LOCKED})
# When to ask again where something is away that comes back by itself.
AWAY_SECONDS = 5


class ErrorBody(BoundaryModel):
    """What every answer that is no success holds."""

    code: str
    message: str
    remedy: str = ""
    request_id: str
    details: dict[str, JsonValue] = Field(default_factory=dict)


class ErrorAnswer(BoundaryModel):
    """The answer's body."""

    error: ErrorBody


class Unauthorized(AccessError):
    """No key, or none that is known."""

    http_status = 401


class Forbidden(AccessError):
    """A key that may not do this."""


def status_of(error: LoquelaError) -> int:
    """The HTTP status of an error of ours."""
    if error.code in NOT_FOUND:
        return 404
    if error.code in CONFLICT:
        return 409
    return error.http_status


def answer(error: LoquelaError, request_id: str) -> JSONResponse:
    """An error as an answer."""
    body = ErrorBody(
        code=error.code,
        message=error.message,
        remedy=error.remedy,
        request_id=request_id,
        details=error.details,
    )
    headers = {"WWW-Authenticate": "Bearer"} if status_of(error) == 401 else {}
    if "retry_after_seconds" in error.details:
        headers["Retry-After"] = str(error.details["retry_after_seconds"])
    elif error.retryable and status_of(error) == 503:
        headers["Retry-After"] = str(AWAY_SECONDS)
    content = ErrorAnswer(error=body).model_dump_json()
    return _json(content, status_of(error), headers)


def plain_answer(status: int, message: str, request_id: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer to what came to no route of ours."""
    body = ErrorBody(
        code=ErrorCode.RUN_NOT_FOUND if status == 404 else ErrorCode.CONFIG_INVALID,
        message=message,
        remedy=REMEDIES.get(status, "GET /openapi.json lists what there is"),
        request_id=request_id,
    )
    return _json(ErrorAnswer(error=body).model_dump_json(), status, headers)


def request_id_of(request: Request) -> str:
    """The id that the guard gave the request."""
    return str(request.scope.get("request_id", ""))


def install(app: FastAPI, events: EventLog, log: ServiceLog) -> None:
    """Every error of every route takes this shape; what is our bug is written down, and said without its inside."""

    async def ours(request: Request, error: Exception) -> Response:
        if not isinstance(error, LoquelaError):
            return await bug(request, error)
        request.scope["error_code"] = error.code
        return answer(error, request_id_of(request))

    async def unfit(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:20]]
        refused = RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the request does not fit: " + "; ".join(problems or ["it cannot be read"]),
            "send what GET /openapi.json describes",
        )
        made = answer(refused, request_id_of(request))
        made.status_code = 422
        return made

    async def plain(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = str(error.detail) if isinstance(error, HTTPException) else "it cannot be answered"
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        return plain_answer(status, said, request_id_of(request), headers)

    async def bug(request: Request, error: Exception) -> Response:
        told = InternalError(ErrorCode.INTERNAL, "an error of Loquela's own", "report it with the request id")
        request_id = request_id_of(request)
        request.scope["error_code"] = told.code
        seen = f"{type(error).__name__}: {error}"
        where = "".join(traceback.format_exception(error))
        log.system("error", seen, event="service.bug.v1", request_id=request_id, traceback=where)
        with suppress(LoquelaError):
            # The database may be what is broken; the log has it already.
            events.append("service.bug.v1", data={"request_id": request_id, "error": seen})
        made = answer(told, request_id)
        # This answer is made outside of the guard, which gives all others theirs.
        made.headers.update({**SECURITY_HEADERS, "x-request-id": request_id})
        return made

    app.add_exception_handler(LoquelaError, ours)
    app.add_exception_handler(RequestValidationError, unfit)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(Exception, bug)


def _json(content: str, status: int, headers: dict[str, str] | None) -> JSONResponse:
    made = JSONResponse(None, status_code=status, headers=headers)
    made.body = content.encode("utf-8")
    made.headers["content-length"] = str(len(made.body))
    return made
