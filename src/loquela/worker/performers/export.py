"""A trained model in a format that other programs run: what `loquela export` makes, below the run's exports/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.entry import resolve
from loquela.jobs.records import JsonObject
from loquela.monitoring.events import Bus
from loquela.recipe.export_section import ExportSection, ExportTarget
from loquela.runs.export_inputs import export_inputs
from loquela.worker.folders import JobRequest
from loquela.worker.performers.on_run import on_run, stopped_at_once

ExportModel = Callable[[Path, ExportTarget, ExportSection, Path | None, Bus, bool], dict[str, JsonValue]]
ENTRY = "loquela.export.on_request:export_model"


class ExportSpec(ExportTarget):
    """What to make; `fastest`: in the format that the model is served fastest in, whatever `format` says."""

    fastest: bool = False


def perform(request: JobRequest) -> JsonObject:
    """Export, measure, publish; one that is there already, made of the same model, is measured no second time.

    Raises what `Export.run` raises: ProofError where it is further from the model than the run's limits allow.
    """
    spec = ExportSpec.model_validate(request.spec)
    target = ExportTarget.model_validate(spec.model_dump(exclude={"fastest"}))
    export_model: ExportModel = resolve(ENTRY)
    with stopped_at_once(), on_run(request) as job:
        section, held_out = export_inputs(job.folder)
        return {"run_id": request.run_id, **export_model(job.folder, target, section, held_out, job.bus, spec.fastest)}
