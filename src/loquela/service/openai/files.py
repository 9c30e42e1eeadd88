"""`/v1/files`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, UploadFile
from starlette.responses import FileResponse

from loquela.core.model import BoundaryModel
from loquela.service.authentication import Reader, Runner
from loquela.service.parts import parts_of
from loquela.service.uploads import Upload

router = APIRouter(prefix="/v1/files", tags=["openai"])
Purpose = Literal["fine-tune", "user_data", "assistants", "batch", "evals", "vision"]


class FileObject(BoundaryModel):
    """An uploaded file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(BoundaryModel):
    """Some files, newest first."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BoundaryModel):
    """A file that is no more."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


EXAMPLE = {
    "requestBody": {
        "content": {"multipart/form-data": {"example": {"file": "(the content of rows.jsonl)", "purpose": "fine-tune"}}}
    }
}


@router.post("", openapi_extra=EXAMPLE)
def upload(file: UploadFile, purpose: Annotated[Purpose, Form()], request: Request, key: Runner) -> FileObject:
    """Keep a file; recipes name it as `upload:<id>`."""
    uploads = parts_of(request).uploads
    return _shown(uploads.add(file.file, name=file.filename or "", purpose=purpose, owner=key.owner))


@router.get("")
def list_files(
    request: Request,
    key: Reader,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    purpose: Purpose | None = None,
) -> FileList:
    """Files, newest first."""
    found = parts_of(request).uploads.page(after=after, limit=limit + 1, purpose=purpose)
    shown = [_shown(upload) for upload in found[:limit]]
    return FileList(
        data=shown,
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
        has_more=len(found) > limit,
    )


@router.get("/{file_id}")
def retrieve(file_id: str, request: Request, key: Reader) -> FileObject:
    """One file."""
    return _shown(parts_of(request).uploads.get(file_id))


@router.get("/{file_id}/content", response_class=FileResponse)
def content(file_id: str, request: Request, key: Reader) -> FileResponse:
    """What was uploaded, as an attachment that no browser shows."""
    uploads = parts_of(request).uploads
    return FileResponse(
        uploads.place(file_id),
        media_type="application/octet-stream",
        filename=uploads.get(file_id).name,
        headers={"content-security-policy": "sandbox"},
    )


@router.delete("/{file_id}")
def delete(file_id: str, request: Request, key: Runner) -> FileDeleted:
    """Forget a file."""
    parts_of(request).uploads.remove(file_id)
    return FileDeleted(id=file_id)


def _shown(upload: Upload) -> FileObject:
    return FileObject(
        id=upload.id,
        bytes=upload.size_bytes,
        created_at=int(upload.created_at),
        filename=upload.name,
        purpose=upload.purpose,
    )
