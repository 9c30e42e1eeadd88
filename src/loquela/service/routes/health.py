"""Whether the service lives, and whether it can work."""

from __future__ import annotations

import shutil

from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy import text
from starlette.responses import JSONResponse

from loquela.core.errors import LoquelaError
from loquela.service.authentication import Reader
from loquela.service.parts import Parts, whole_service
from loquela.service.schemas import Health, Readiness

router = APIRouter(tags=["health"])
LEAST_FREE_BYTES = 64 * 2**20


@router.get("/healthz")
async def healthz() -> Health:
    """The process answers, also when all its threads wait; says nothing about anything else, and needs no key."""
    return Health(status="ok")


@router.get("/openapi.json", include_in_schema=False)
def description(request: Request, key: Reader) -> JSONResponse:
    """All routes with their schemas."""
    app: FastAPI = request.app
    return JSONResponse(app.openapi())


@router.get("/readyz")
def readyz(request: Request, response: Response) -> Readiness:
    """What the service needs is there: database, disk; 503 when it is not. Needs no key, names no place."""
    parts = whole_service(request)
    checks = {"database": _database(parts), "disk": _disk(parts)}
    ready = all(state == "ok" for state in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


def _database(parts: Parts) -> str:
    try:
        with parts.database.read() as connection:
            connection.execute(text("SELECT 1"))
    except LoquelaError:
        return "it cannot be reached"
    return "ok"


def _disk(parts: Parts) -> str:
    try:
        free = shutil.disk_usage(parts.data).free
    except OSError:
        return "the data folder cannot be read"
    return "ok" if free >= LEAST_FREE_BYTES else "it is nearly full"
