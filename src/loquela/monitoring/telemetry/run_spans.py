"""A span for a run and one for each of its stages, made from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loquela.monitoring.events import Event
from loquela.monitoring.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

ENDS = {"pipeline.completed.v1": True, "pipeline.failed.v1": False, "pipeline.interrupted.v1": False}
TOLD = ("code", "phase")


class RunSpans:
    """Bus listener."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._run: Span | None = None
        self._stage: Span | None = None

    def __call__(self, event: Event) -> None:
        if event.name == "pipeline.started.v1":
            self._run = self._tracing.tracer.start_span("run", attributes={"loquela.run_id": str(event.run_id)})
        elif event.name == "pipeline.stage_started.v1":
            self._begin_stage(str(event.data["stage"]))
        elif event.name == "pipeline.stage_completed.v1":
            self._end_stage(well=True)
        elif event.name in ENDS:
            self._end(event, well=ENDS[event.name])

    def _begin_stage(self, stage: str) -> None:
        from opentelemetry.trace import set_span_in_context

        if self._run is not None:
            attributes = {"loquela.stage": stage}
            within = set_span_in_context(self._run)
            self._stage = self._tracing.tracer.start_span(f"stage {stage}", context=within, attributes=attributes)

    def _end_stage(self, *, well: bool) -> None:
        from opentelemetry.trace import StatusCode

        if self._stage is not None:
            self._stage.set_status(StatusCode.OK if well else StatusCode.ERROR)
            self._stage.end()
            self._stage = None

    def _end(self, event: Event, *, well: bool) -> None:
        from opentelemetry.trace import StatusCode

        self._end_stage(well=well)
        if self._run is not None:
            for name in TOLD:
                value = event.data.get(name)
                if isinstance(value, str | int | float):
                    self._run.set_attribute(f"loquela.{name}", value)
            self._run.set_status(StatusCode.OK if well else StatusCode.ERROR, None if well else event.name)
            self._run.end()
            self._run = None
        self._tracing.close()
