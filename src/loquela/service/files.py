"""Uploaded files: kept once by content, named by id."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.tables import files
from loquela.service.parts import Parts


def upload_place(parts: Parts, file_id: str) -> Path:
    """Where the content of an upload lies; RecipeError(RUN_NOT_FOUND) when there is none of that id."""
    query = select(files.c.sha256, files.c.name).where((files.c.id == file_id) & files.c.deleted_at.is_(None))
    with parts.database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"there is no file {file_id!r}", "upload it first: POST /v1/files")
    return parts.data / "files" / str(row.sha256) / str(row.name)
