"""How good is the model of a run, on a split or on text of its own? Measured as `loquela evaluate` does.

run ─┬─ from scratch ─▶ best or final ─ split, or a text ─▶ loss, perplexity, samples, budgets ─┬─▶ evaluations/<job>/
     └─ fine-tuned ───▶ base against adapter on the held-out examples ──────────────────────────┘
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from loquela.artifacts.context import StageContext, StageResult, StopRequest
from loquela.artifacts.folders import whole_folder
from loquela.artifacts.manifest import verify, write_manifest
from loquela.core.entry import resolve
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.jobs.records import JsonObject
from loquela.recipe.schema import Recipe
from loquela.runs.execution import SERVED
from loquela.runs.signals import stop_on_signals
from loquela.worker.folders import JobRequest
from loquela.worker.performers.on_run import OnRun, on_run

EVALUATIONS = "evaluations"
METRICS_NAME = "metrics.json"
StageFunction = Callable[[StageContext], StageResult]
SplitFunction = Callable[[StageContext, str], StageResult]
EVALUATE = "loquela.evaluation.stage:evaluate_split"
COMPARE = "loquela.evaluation.tuned.stage:compare"
SHARDS_OF_SOURCES = "loquela.data.shards.of_sources:shards_of_sources"
SHARDS_SPLIT = "test"


class EvaluateSpec(BoundaryModel):
    """What is measured on: a split of the run's data, or the text at `source` on this server."""

    split: Literal["train", "validation", "test"] = "validation"
    source: str | None = None
    shown_source: str | None = Field(None, description="`source` as it was asked for")


def perform(request: JobRequest) -> JsonObject:
    """Measure, unless this job did before it died; the report lies below the run, the numbers are the result.

    Raises DataError for data or a model that is absent or damaged, ProofError for numbers that are none, Interrupted on
    a stop request.
    """
    spec = EvaluateSpec.model_validate(request.spec)
    with on_run(request) as job, stop_on_signals() as stop:
        place = job.folder / EVALUATIONS / request.job_id
        if not _whole(place):
            if job.recipe.finetune is not None:
                _compare(job, place, stop)
            else:
                _evaluate(job, spec, place, stop)
        report: JsonValue = json.loads((place / METRICS_NAME).read_bytes())
        files: list[JsonValue] = [job.inside(path) for path in sorted(place.rglob("*")) if path.is_file()]
    return {
        "run_id": request.run_id,
        "split": None if spec.source else spec.split,
        "path_override": spec.shown_source,
        "seed": job.recipe.seed,
        "report": report,
        "artifacts": files,
    }


def _whole(place: Path) -> bool:
    try:
        verify(place)
    except DataError:
        return False
    return True


def _evaluate(job: OnRun, spec: EvaluateSpec, place: Path, stop: StopRequest) -> None:
    # A measurement that was asked for is a result, however good: the recipe's limit is for its own stage.
    recipe = job.recipe
    recipe.evaluate = recipe.evaluate.model_copy(update={"max_validation_loss": None})
    evaluate: SplitFunction = resolve(EVALUATE)
    with tempfile.TemporaryDirectory(prefix="loquela-evaluation-") as scratch:
        inputs = {"tokenizer": job.folder / "tokenizer", "checkpoint": _served(job.folder)}
        split: str = spec.split
        if spec.source is None:
            inputs["shards"] = job.made_by("prepare")
        else:
            inputs["shards"], split = _shards(job, recipe, spec.source, Path(scratch), stop), SHARDS_SPLIT
        with whole_folder(place) as output:
            made = evaluate(StageContext(recipe, job.bus, inputs, output, job.folder, stop), split)
            write_manifest(output, "report", facts=made.facts)


def _served(run: Path) -> Path:
    """The model that answers requests, every file proven."""
    for name in SERVED:
        if (run / name / "manifest.json").is_file():
            verify(run / name)
            return run / name
    raise DataError(
        ErrorCode.DATASET_NOT_FOUND,
        f"run {run.name} has no trained model yet: none of {', '.join(SERVED)} is whole",
        "let its training end first",
    )


def _shards(job: OnRun, recipe: Recipe, source: str, scratch: Path, stop: StopRequest) -> Path:
    """The text at `source` in the tokens of the run."""
    data = recipe.data.model_copy(update={"sources": [source]})
    inputs = {"tokenizer": job.folder / "tokenizer"}
    make_shards: StageFunction = resolve(SHARDS_OF_SOURCES)
    output = scratch / "shards"
    output.mkdir()
    asked = recipe.model_copy(update={"data": data})
    made = make_shards(StageContext(asked, job.bus, inputs, output, job.folder, stop))
    write_manifest(output, "shards", facts=made.facts)
    return output


def _compare(job: OnRun, place: Path, stop: StopRequest) -> None:
    """Goes on where a comparison that was killed has stopped: what it measured is kept at `place`."""
    adapter = job.folder / "adapter"
    verify(adapter)
    inputs = {"base": job.made_by("base"), "examples": job.made_by("examples"), "adapter": adapter}
    compare: StageFunction = resolve(COMPARE)
    made = compare(StageContext(job.recipe, job.bus, inputs, place, job.folder, stop))
    write_manifest(place, "comparison", facts=made.facts)
