"""`/v1/fine_tuning/jobs`: a fine-tuning of a base on an uploaded file is a run like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import JsonValue

from loquela.artifacts.checkpoints import list_checkpoints, read_state
from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.jobs.records import Job, NewJob
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.layers import parse_file
from loquela.runs.store import new_run_id
from loquela.service.authentication import Reader, Runner
from loquela.service.openai.job_objects import (
    CheckpointList,
    CheckpointMetrics,
    CheckpointObject,
    CreateJob,
    Hyperparameters,
    JobEventList,
    JobList,
    JobObject,
    event_object,
    job_object,
)
from loquela.service.openai.models import BASES, base_folders
from loquela.service.parts import Parts, parts_of
from loquela.service.recipes import HUB_NAME, admit, as_given
from loquela.service.schemas import shown

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["openai"])
LABEL = "openai"


@router.post("")
def create(
    body: CreateJob,
    request: Request,
    key: Runner,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> JobObject:
    """Queue a fine-tuning."""
    parts = parts_of(request)
    if body.validation_file is not None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "validation_file: a share of the training file is held out instead",
            "leave validation_file out, or send a whole recipe to POST /runs/train",
        )
    resolved = admit(_recipe(parts, body), parts.settings, parts.uploads.place)
    run_id = new_run_id(resolved.recipe.name)
    asked = dict(body.model_dump(mode="json"))
    new = NewJob(
        id=run_id,
        kind="run",
        run_id=run_id,
        spec={"recipe": as_given(resolved), "until": None, "openai": asked},
        labels={LABEL: body.training_file},
        created_by=key.owner,
    )
    job = parts.submissions.submit(new, idempotency_key=idempotency_key, request=asked)
    parts.doorbell.ring(job.id, job.fence)
    return job_object(job, parts.clock.now())


@router.get("")
def list_jobs(
    request: Request, key: Reader, after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> JobList:
    """Jobs that were asked for in this format, newest first."""
    parts = parts_of(request)
    before = _found(parts, after).seq if after is not None else None
    found: list[Job] = []
    while len(found) <= limit:
        page = parts.listing.page(before=before, kind="run", limit=200)
        found += [job for job in page.jobs if LABEL in job.labels]
        before = page.next_before
        if before is None:
            break
    now = parts.clock.now()
    return JobList(data=[job_object(job, now) for job in found[:limit]], has_more=len(found) > limit)


@router.get("/{job_id}")
def retrieve(job_id: str, request: Request, key: Reader) -> JobObject:
    """One job."""
    parts = parts_of(request)
    return job_object(_found(parts, job_id), parts.clock.now())


@router.post("/{job_id}/cancel")
def cancel(job_id: str, request: Request, key: Runner) -> JobObject:
    """Stop a job with everything saved."""
    parts = parts_of(request)
    return job_object(parts.requests.cancel(_found(parts, job_id).id), parts.clock.now())


@router.post("/{job_id}/pause")
def pause(job_id: str, request: Request, key: Runner) -> JobObject:
    """Stop a job until it is resumed."""
    parts = parts_of(request)
    return job_object(parts.requests.pause(_found(parts, job_id).id), parts.clock.now())


@router.post("/{job_id}/resume")
def resume(job_id: str, request: Request, key: Runner) -> JobObject:
    """Go on with a paused, cancelled or failed job from its last checkpoint."""
    parts = parts_of(request)
    job = parts.requests.resume(_found(parts, job_id).id)
    parts.doorbell.ring(job.id, job.fence)
    return job_object(job, parts.clock.now())


@router.get("/{job_id}/events")
def events(
    job_id: str,
    request: Request,
    key: Reader,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JobEventList:
    """What was said about a job, newest first."""
    parts = parts_of(request)
    job = _found(parts, job_id)
    before = parts.events.seq_of(after) if after is not None else None
    found = parts.events.before(before, job_id=job.id, limit=limit + 1)
    return JobEventList(data=[event_object(shown(event)) for event in found[:limit]], has_more=len(found) > limit)


@router.get("/{job_id}/checkpoints")
def checkpoints(
    job_id: str,
    request: Request,
    key: Reader,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> CheckpointList:
    """The checkpoints that are kept, newest first."""
    parts = parts_of(request)
    job = _found(parts, job_id)
    made = []
    for place in list_checkpoints(parts.run_folder(job.run_id)):
        try:
            state = read_state(place)
        except LoquelaError:
            continue  # it is being written, or was just retired
        last = state.epoch_history[-1] if state.epoch_history else None
        made.append(
            CheckpointObject(
                id=f"{job.id}-{place.name}",
                created_at=int(place.stat().st_mtime),
                fine_tuned_model_checkpoint=f"{job.run_id}:{state.step}",
                fine_tuning_job_id=job.id,
                step_number=state.step,
                metrics=CheckpointMetrics(
                    step=state.step,
                    train_loss=last.train_loss if last else None,
                    valid_loss=last.validation_loss if last else None,
                ),
            )
        )
    ids = [checkpoint.id for checkpoint in made]
    start = ids.index(after) + 1 if after in ids else 0
    page = made[start : start + limit]
    return CheckpointList(
        data=page,
        has_more=len(made) > start + limit,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )


def _found(parts: Parts, job_id: str) -> Job:
    job = parts.listing.get(job_id)
    if LABEL not in job.labels:
        raise RecipeError(
            ErrorCode.RUN_NOT_FOUND, f"{job_id} is no fine-tuning job", "list them: GET /v1/fine_tuning/jobs"
        )
    return job


def _recipe(parts: Parts, body: CreateJob) -> JsonValue:
    """The recipe that a request in this format stands for."""
    method = body.method.type if body.method is not None else "supervised"
    given = None
    if body.method is not None:
        given = body.method.dpo if method == "dpo" else body.method.supervised
    chosen = given.hyperparameters if given is not None else body.hyperparameters or Hyperparameters()
    finetune: dict[str, JsonValue] = {"base": _base(parts, body.model), "task": "dpo" if method == "dpo" else "sft"}
    if chosen.n_epochs != "auto":
        finetune["epochs"] = chosen.n_epochs
    if chosen.batch_size != "auto":
        finetune |= {"batch_size": chosen.batch_size, "gradient_accumulation_steps": 1}
    if chosen.learning_rate_multiplier != "auto":
        usual = float(FinetuneSection.model_fields["learning_rate"].default)
        finetune["learning_rate"] = usual * chosen.learning_rate_multiplier
    if chosen.beta != "auto":
        finetune["preference"] = {"beta": chosen.beta}
    started = _started_from(parts.settings.fine_tuning_recipe)
    return {
        **started,
        "name": body.suffix or "ftjob",
        **({"seed": body.seed} if body.seed is not None else {}),
        "examples": {**_section(started, "examples"), "sources": [f"upload:{body.training_file}"]},
        "finetune": {**_section(started, "finetune"), **finetune},
    }


def _started_from(file: Path | None) -> dict[str, JsonValue]:
    tree = parse_file(file).tree if file is not None else {}
    return tree if isinstance(tree, dict) else {}


def _section(tree: dict[str, JsonValue], name: str) -> dict[str, JsonValue]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def _base(parts: Parts, model: str) -> str:
    """A base by the name that GET /v1/models shows, a package, or a name on the hub."""
    if model in {place.name for place in base_folders(parts)}:
        return f"{BASES}/{model}"
    if model.startswith("package:") or HUB_NAME.fullmatch(model):
        return model
    raise RecipeError(
        ErrorCode.RUN_NOT_FOUND,
        f"model: there is no base {model!r}",
        "list them: GET /v1/models; the service's owner puts bases into corpus/bases/",
    )
