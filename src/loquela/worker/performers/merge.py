"""A run's adapter and its base made one model: what `loquela merge-adapter` makes, as the run's merged/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.entry import resolve
from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.records import JsonObject
from loquela.monitoring.events import Bus
from loquela.recipe.finetune_section import MergeOptions
from loquela.worker.folders import JobRequest
from loquela.worker.performers.on_run import on_run, stopped_at_once

Merge = Callable[[Path, Path, Path, Path, MergeOptions, Bus], dict[str, JsonValue]]
ENTRY = "loquela.finetuning.merging.on_request:merge_run"


def perform(request: JobRequest) -> JsonObject:
    """Merge, unless that is done already. Raises RecipeError for a run that has no adapter, else as `merge_adapter`."""
    merge: Merge = resolve(ENTRY)
    with stopped_at_once(), on_run(request) as job:
        section = job.recipe.finetune
        if section is None or section.method == "full":
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"run {request.run_id} has no adapter that could be merged",
                "merge a run that fine-tunes with an adapter; the model of this one is whole",
            )
        base, examples = job.made_by("base"), job.made_by("examples")
        made = merge(job.folder / "adapter", job.folder / "merged", base, examples, section.merge, job.bus)
    return {"run_id": request.run_id, **made}
