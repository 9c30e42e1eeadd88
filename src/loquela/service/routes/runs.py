"""Runs: asked for, looked at, stopped, gone on with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.records import Job, NewJob
from loquela.jobs.states import JobState
from loquela.recipe.loading import ResolvedRecipe
from loquela.recipe.pipeline import from_recipe
from loquela.runs.store import new_run_id
from loquela.service.authentication import Reader, Runner
from loquela.service.parts import Parts, parts_of
from loquela.service.planning import planned
from loquela.service.recipes import admit, as_given, problems_of
from loquela.service.schemas import (
    PlanView,
    Problem,
    RunId,
    RunPage,
    RunView,
    TrainRequest,
    ValidationView,
    view_of,
)
from loquela.stages import stage_named

router = APIRouter(prefix="/runs", tags=["runs"])
RUN = "run"


@router.post("/train", status_code=202)
def train(
    body: TrainRequest,
    request: Request,
    key: Runner,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> RunView:
    """Queue a run. The same Idempotency-Key with the same body is the same run."""
    parts = parts_of(request)
    resolved = _admitted(parts, body)
    run_id = new_run_id(resolved.recipe.name)
    spec: dict[str, JsonValue] = {"recipe": as_given(resolved), "until": body.until}
    new = NewJob(
        id=run_id,
        kind=RUN,
        run_id=run_id,
        spec=spec,
        priority=body.priority,
        labels=body.labels,
        created_by=key.owner,
    )
    asked = dict(body.model_dump(mode="json"))
    job = parts.submissions.submit(new, idempotency_key=idempotency_key, request=asked)
    parts.doorbell.ring(job.id, job.fence)
    return _view(parts, job)


@router.post("/plan")
def plan(body: TrainRequest, request: Request, key: Reader) -> PlanView:
    """What the run would do and need, without queueing it: the recipe resolved, what was derived, the plan."""
    resolved = _admitted(parts_of(request), body)
    return PlanView(
        recipe=dict(resolved.recipe.model_dump(mode="json", exclude={"output_directory"})),
        derived={name: origin.where for name, origin in resolved.derived().items()},
        plan=planned(resolved.recipe),
    )


@router.post("/validate")
def validate(body: TrainRequest, request: Request, key: Reader) -> ValidationView:
    """Whether `POST /runs/train` would take this recipe: all that is wrong with it, at once. Nothing is queued."""
    try:
        resolved = _admitted(parts_of(request), body)
    except RecipeError as error:
        problems = [Problem.model_validate(problem) for problem in problems_of(error)]
        return ValidationView(valid=False, problems=problems, recommendations=[], derived={})
    flat, _ = from_recipe(resolved.recipe)
    unusual = [] if flat is None or resolved.recipe.finetune is not None else flat.recommendations()
    derived = {name: origin.where for name, origin in resolved.derived().items()}
    return ValidationView(valid=True, problems=[], recommendations=[*unusual], derived=derived)


@router.get("")
def list_runs(
    request: Request,
    key: Reader,
    before: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    state: Annotated[list[JobState] | None, Query()] = None,
) -> RunPage:
    """Runs, newest first."""
    parts = parts_of(request)
    page = parts.listing.page(before=before, limit=limit, kind=RUN, states=tuple(state) if state else None)
    return RunPage(runs=[_view(parts, job) for job in page.jobs], next_before=page.next_before)


@router.get("/{run_id}")
def get_run(run_id: RunId, request: Request, key: Reader) -> RunView:
    """One run: its state and why, its progress, when it was last heard of."""
    parts = parts_of(request)
    return _view(parts, find_run(parts, run_id))


@router.post("/{run_id}/cancel")
def cancel(run_id: RunId, request: Request, key: Runner) -> RunView:
    """Stop a run with everything saved; it can be resumed."""
    parts = parts_of(request)
    return _view(parts, parts.requests.cancel(find_run(parts, run_id).id))


@router.post("/{run_id}/pause")
def pause(run_id: RunId, request: Request, key: Runner) -> RunView:
    """Stop a run until it is resumed, with everything saved."""
    parts = parts_of(request)
    return _view(parts, parts.requests.pause(find_run(parts, run_id).id))


@router.post("/{run_id}/resume")
def resume(run_id: RunId, request: Request, key: Runner) -> RunView:
    """Queue a stopped run again; it goes on from its last checkpoint."""
    parts = parts_of(request)
    job = parts.requests.resume(find_run(parts, run_id).id)
    parts.doorbell.ring(job.id, job.fence)
    return _view(parts, job)


def find_run(parts: Parts, run_id: str) -> Job:
    """The job of a run; RecipeError(RUN_NOT_FOUND) for an id that no run has."""
    job = parts.listing.get(run_id)
    if job.kind != RUN:
        raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"{run_id} is no run", "list them: GET /runs")
    return job


def _admitted(parts: Parts, body: TrainRequest) -> ResolvedRecipe:
    if body.until is not None:
        _check_stage(body.until)
    return admit(body.recipe, parts.settings, parts.uploads.place)


def _check_stage(name: str) -> None:
    try:
        stage_named(name)
    except KeyError as error:
        raise RecipeError(ErrorCode.CONFIG_INVALID, f"until: there is no stage {name!r}", "leave it out") from error


def _view(parts: Parts, job: Job) -> RunView:
    return view_of(job, parts.settings.lease_seconds)
