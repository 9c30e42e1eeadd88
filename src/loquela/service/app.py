"""The application: guard, errors, routes."""

from __future__ import annotations

from importlib import metadata

from fastapi import FastAPI

from loquela.service import errors
from loquela.service.audited import Audited
from loquela.service.described import DescribedApp
from loquela.service.entrance import Entrance
from loquela.service.guard import Guard
from loquela.service.openai import completions, files, fine_tuning, models
from loquela.service.parts import Parts
from loquela.service.places import Places
from loquela.service.routes import (
    alerts,
    artifacts,
    audit,
    comparisons,
    evaluations,
    events,
    exports,
    health,
    inference,
    jobs,
    metrics,
    runs,
    sessions,
    tokenizers,
)
from loquela.service.streams import Streams
from loquela.service.told.requests import Told
from loquela.service.told.spans import Spans

ROUTERS = (
    health.router,
    sessions.router,
    runs.router,
    comparisons.router,
    evaluations.router,
    exports.router,
    artifacts.router,
    tokenizers.router,
    jobs.router,
    events.router,
    metrics.router,
    inference.router,
    audit.router,
    alerts.router,
)
OPENAI_ROUTERS = (files.router, models.router, completions.router, fine_tuning.router)


def build_app(parts: Parts) -> FastAPI:
    """The service around its parts. Documentation pages load scripts from strangers, so there are none."""
    settings = parts.settings
    app = DescribedApp(
        title="Loquela",
        version=metadata.version("loquela"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        strict_content_type=True,
    )
    app.state.parts = parts
    app.state.login = None
    app.state.streams = Streams(settings)
    errors.install(app, parts.events, parts.log)
    for router in (*ROUTERS, *OPENAI_ROUTERS):
        app.include_router(router, responses={"default": {"model": errors.ErrorAnswer}})
    # The last one that is added is the outermost.
    app.add_middleware(Entrance, settings=settings)
    app.add_middleware(
        Guard,
        settings=settings,
        places=Places(settings.data),
        over_tls=settings.tls_certificate is not None,
    )
    app.add_middleware(Told, log=parts.log)
    if parts.tracing is not None:
        app.add_middleware(Spans, tracing=parts.tracing)
    # What the guard refuses is written down too.
    app.add_middleware(Audited, audit=parts.audit, limits=parts.limits)
    return app
