"""`/v1/models`: the models of finished runs, and the bases that may be fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import nearest
from loquela.jobs.records import Job
from loquela.jobs.states import JobState
from loquela.service.authentication import Reader
from loquela.service.parts import Parts, parts_of

router = APIRouter(prefix="/v1/models", tags=["openai"])
BASES = "bases"
NEWEST = 200


class Model(BoundaryModel):
    """Something to talk to, or to fine-tune."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BoundaryModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("")
def list_models(request: Request, key: Reader) -> ModelList:
    """Bases, then the models of the newest finished runs."""
    parts = parts_of(request)
    bases = [_of_base(place) for place in base_folders(parts)]
    runs = parts.listing.page(kind="run", states=(JobState.SUCCEEDED,), limit=NEWEST).jobs
    return ModelList(data=[*bases, *(_of_run(job) for job in runs)])


@router.get("/{name}")
def retrieve(name: str, request: Request, key: Reader) -> Model:
    """One of them."""
    parts = parts_of(request)
    for place in base_folders(parts):
        if place.name == name:
            return _of_base(place)
    model_place(parts, name)
    return _of_run(parts.listing.get(name))


def base_folders(parts: Parts) -> list[Path]:
    """The folders in `corpus/bases/`: models that the service's owner has put there."""
    folder = parts.settings.corpus / BASES
    return sorted(place for place in folder.iterdir() if place.is_dir()) if folder.is_dir() else []


def model_place(parts: Parts, name: str) -> Path:
    """The folder of a model by its name; RecipeError(RUN_NOT_FOUND) with the nearest name when there is none."""
    bases = {place.name: place for place in base_folders(parts)}
    if name in bases:
        return bases[name]
    try:
        job = parts.listing.get(name)
    except RecipeError:
        job = None
    if job is None or job.kind != "run":
        near = nearest(name, [*bases, *(found.run_id for found in parts.listing.page(kind="run").jobs)])
        hint = f"; did you mean {near!r}?" if near else ""
        raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"there is no model {name!r}{hint}", "list them: GET /v1/models")
    return parts.model_folder(job.run_id)


def _of_base(place: Path) -> Model:
    return Model(id=place.name, created=int(place.stat().st_mtime), owned_by="base")


def _of_run(job: Job) -> Model:
    return Model(id=job.run_id, created=int(job.created_at), owned_by=job.created_by or "owner")
