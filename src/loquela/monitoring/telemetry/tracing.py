"""The tracer of this process, if somebody wants its spans and OpenTelemetry is installed."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORT_SECONDS = 2.0


class Tracing:
    """Spans are kept in a queue of bounded length and sent by a thread of their own; what cannot be sent is dropped."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self.tracer: Tracer = provider.get_tracer("loquela")

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._provider.force_flush(int(EXPORT_SECONDS * 1000))
        self._provider.shutdown()


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an address to send spans to is named, and OTEL_SDK_DISABLED does not say no."""
    named = any(environment.get(name) for name in ENDPOINTS)
    return named and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"


def installed() -> bool:
    """Whether the packages of the extra `telemetry` are there."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def open_tracing(role: str) -> Tracing | None:
    """The tracing of a process of that role (`service`, `run`); None where it is not wanted or not installed.

    The other OTEL_ variables (service name, headers, sampler) mean what they mean everywhere.
    """
    if not wanted() or not installed():
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # A receiver that is away is its operator's trouble, not worth a traceback in the middle of a run.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "loquela"}
    provider = TracerProvider(resource=Resource.create({**named, "loquela.role": role}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))
    return Tracing(provider)
