"""How good the model of a run is: asked for, looked at."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, model_validator

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.records import Job
from loquela.jobs.states import JobState
from loquela.service.authentication import Reader, Runner
from loquela.service.evaluations import EvaluationView, of_job, of_the_run
from loquela.service.parts import Parts, parts_of
from loquela.service.queueing import IdempotencyKey, queue
from loquela.service.recipes import named_place
from loquela.service.routes.runs import find_run
from loquela.service.schemas import RunId

router = APIRouter(prefix="/runs", tags=["evaluations"])
EvaluationId = Annotated[str, Field(pattern=r"^evaluate-[0-9a-f]{32}$")]


class EvaluateRequest(BoundaryModel):
    """What to measure on: a split of the run's data, or a text of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"split": "test"}, {"path_override": "held-out.txt"}]})

    split: Literal["train", "validation", "test"] | None = Field(None, description="null: validation")
    path_override: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="a text below corpus/, upload:<id>, or a source that recipes may name",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.split is not None and self.path_override is not None:
            raise ValueError("split and path_override are mutually exclusive: give one of them")
        return self


@router.post("/{run_id}/evaluate", status_code=202)
def evaluate(
    run_id: RunId, body: EvaluateRequest, request: Request, key: Runner, idempotency_key: IdempotencyKey = None
) -> EvaluationView:
    """Queue an evaluation; a fine-tuning is compared with its base on the examples that were held out."""
    parts = parts_of(request)
    run = find_run(parts, run_id)
    if _fine_tunes(run) and (body.path_override is not None or body.split in ("train", "test")):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"run {run_id} fine-tunes: it is compared with its base on held-out examples, and on nothing else",
            "leave split and path_override out",
        )
    path = body.path_override
    place = None if path is None else named_place("path_override", path, parts.settings, parts.uploads.place)
    spec = {"split": body.split or "validation", "source": place, "shown_source": path}
    return of_job(queue(parts, "evaluate", run, dict(spec), key.owner, idempotency_key))


@router.get("/{run_id}/eval")
def latest(run_id: RunId, request: Request, key: Reader) -> EvaluationView:
    """The newest evaluation that is there: one that was asked for, else the run's own."""
    parts = parts_of(request)
    run = find_run(parts, run_id)
    done = parts.listing.page(kind="evaluate", run_id=run.run_id, states=(JobState.SUCCEEDED,), limit=1).jobs
    found = of_job(done[0]) if done else of_the_run(run, parts.run_folder(run.run_id))
    if found is None:
        raise RecipeError(
            ErrorCode.DATA_NOT_FOUND,
            f"run {run_id} was not evaluated yet",
            f"ask for it: POST /runs/{run_id}/evaluate",
        )
    return found


@router.get("/{run_id}/eval/{job_id}")
def get_evaluation(run_id: RunId, job_id: EvaluationId, request: Request, key: Reader) -> EvaluationView:
    """One evaluation that was asked for, or how far it is."""
    return of_job(_found(parts_of(request), run_id, job_id))


def _found(parts: Parts, run_id: str, job_id: str) -> Job:
    job = parts.listing.get(job_id)
    if job.kind != "evaluate" or job.run_id != run_id:
        raise RecipeError(
            ErrorCode.RUN_NOT_FOUND, f"run {run_id} has no evaluation {job_id}", "use the id that POST answered with"
        )
    return job


def _fine_tunes(run: Job) -> bool:
    recipe = run.spec.get("recipe")
    return isinstance(recipe, dict) and recipe.get("finetune") is not None
