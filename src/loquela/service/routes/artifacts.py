"""What is stored of runs: listed, downloaded."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import ConfigDict, Field, StringConstraints
from starlette.responses import Response, StreamingResponse

from loquela.core.model import BoundaryModel
from loquela.jobs.artifacts import Artifact
from loquela.runs.stored.trees import ArtifactKind
from loquela.service.authentication import Reader, Runner
from loquela.service.downloads import MEDIA_TYPE, Wanted, download
from loquela.service.parts import parts_of
from loquela.service.routes.runs import find_run
from loquela.service.schemas import RunId

router = APIRouter(tags=["artifacts"])
Subject = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,191}$")]
PartKind = Literal["model", "tokenizer", "evaluation", "export"]
TARBALL: dict[int | str, dict[str, object]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "the tarball"},
    206: {"content": {MEDIA_TYPE: {}}, "description": "the part of it that was asked for"},
    304: {"description": "the copy that the caller has is the same"},
    416: {"description": "it has no such part"},
}


def _wanted(
    range: Annotated[str | None, Header(description="one stretch of bytes")] = None,
    if_range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Wanted:
    return Wanted(range, if_range, if_none_match)


OfRequest = Annotated[Wanted, Depends(_wanted)]


class ArtifactView(BoundaryModel):
    """A tarball in the store. Times are seconds since 1970, UTC."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "model",
                    "id": "stories-20261122-130501-6ae608",
                    "run_id": "stories-20261122-130501-6ae608",
                    "file_id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "size_bytes": 1646080,
                    "files": 7,
                    "verified_at": 1795354321.5,
                    "cleaned_at": None,
                }
            ]
        }
    )

    kind: ArtifactKind
    id: str
    run_id: str
    file_id: str = Field(description="SHA-256 of the tarball")
    size_bytes: int
    files: int
    verified_at: float = Field(description="when it was read back from the store, whole")
    cleaned_at: float | None = Field(description="when the run's folders were last removed from the data folder")


class RunArtifacts(BoundaryModel):
    """What is stored of a run."""

    run_id: str
    here: bool = Field(description="whether the run's folders are in the data folder too")
    artifacts: list[ArtifactView]


class ArtifactList(BoundaryModel):
    """Some artifacts, newest first; ask again with `before` for older ones."""

    artifacts: list[ArtifactView]
    next_before: int | None


@router.get("/runs/{run_id}/artifacts")
def run_artifacts(run_id: RunId, request: Request, key: Reader) -> RunArtifacts:
    """What is stored of a run: the run itself, its model, its tokenizer, its evaluation, its exports."""
    parts = parts_of(request)
    job = find_run(parts, run_id)
    found = parts.archivist.rows.of_run(job.run_id)
    return RunArtifacts(
        run_id=job.run_id, here=parts.archivist.is_here(job.run_id), artifacts=[_view(each) for each in found]
    )


@router.get("/artifacts")
def list_artifacts(
    request: Request,
    key: Reader,
    kind: ArtifactKind | None = None,
    before: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ArtifactList:
    """What is stored, newest first."""
    page = parts_of(request).archivist.rows.page(before=before, limit=limit, kind=kind)
    return ArtifactList(artifacts=[_view(each) for each in page.artifacts], next_before=page.next_before)


@router.get("/artifacts/run/{run_id}", response_class=StreamingResponse, responses=TARBALL)
def download_run(run_id: RunId, request: Request, key: Runner, wanted: OfRequest) -> Response:
    """A whole run as a tarball, logs and checkpoints included."""
    archivist = parts_of(request).archivist
    return download(archivist, archivist.rows.get("run", run_id), wanted)


@router.get("/artifacts/{kind}/{artifact_id}", response_class=StreamingResponse, responses=TARBALL)
def download_part(kind: PartKind, artifact_id: Subject, request: Request, key: Reader, wanted: OfRequest) -> Response:
    """The model, tokenizer, evaluation or an export of a run as a tarball; parts of it by `Range`."""
    archivist = parts_of(request).archivist
    return download(archivist, archivist.rows.get(kind, artifact_id), wanted)


def _view(artifact: Artifact) -> ArtifactView:
    return ArtifactView(
        kind=artifact.kind,
        id=artifact.subject,
        run_id=artifact.run_id,
        file_id=artifact.sha256,
        size_bytes=artifact.size_bytes,
        files=artifact.files,
        verified_at=artifact.verified_at,
        cleaned_at=artifact.cleaned_at,
    )
