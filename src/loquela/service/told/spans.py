"""A span for every request, continuing the trace of whoever asks (W3C `traceparent`)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loquela.monitoring.telemetry.tracing import Tracing


class Spans:
    """ASGI middleware; only there where tracing is."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on inside a span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        given = {name: value for name, value in Headers(scope=scope).items() if name in ("traceparent", "tracestate")}
        context = TraceContextTextMapPropagator().extract(given)
        started = self._tracing.tracer.start_span(scope["method"], context=context, kind=SpanKind.SERVER)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "")
                started.update_name(f"{scope['method']} {route}".rstrip())
                started.set_attributes(
                    {
                        "http.request.method": scope["method"],
                        "http.route": route,
                        "http.response.status_code": message["status"],
                        "loquela.request_id": str(scope.get("request_id", "")),
                        "loquela.run_id": str((scope.get("path_params") or {}).get("run_id", "")),
                    }
                )
                started.set_status(StatusCode.ERROR if message["status"] >= 500 else StatusCode.UNSET)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            started.end()
