"""Uploaded files: streamed to disk, kept once by content, named by id."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Row, insert, select, update

from loquela.core.atomic import fsync_directory, write_error
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.audit import AuditLog
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject, seen
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.tables import files

PIECE_BYTES = 2**20
# The suffix says which reader takes the file; everything else of the name is only shown.
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,12}$")


class Upload(BoundaryModel):
    """One uploaded file; `created_at` in seconds since 1970, UTC."""

    seq: int
    id: str
    owner: str
    name: str
    purpose: str
    sha256: str
    size_bytes: int
    created_at: float


class Uploads(InProject):
    """Content below `<data>/files/<sha256>/`, rows in the database. A file is gone when its row says so."""

    def __init__(
        self, database: Database, clock: Clock, folder: Path, settings: ServiceSettings, audit: AuditLog
    ) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._settings = settings
        self._audit = audit

    def add(self, stream: BinaryIO, *, name: str, purpose: str, owner: str) -> Upload:
        """Keep what `stream` holds.

        Raises RecipeError(CONFIG_INVALID) for more than may be uploaded, DataError(INSUFFICIENT_DATA) for nothing,
        ResourceError (DISK_FULL, …) when it cannot be written.
        """
        shown = Path(name.replace("\\", "/")).name[:200] or "upload"
        digest, size = self._store(stream, _stored_name(shown))
        file_id = f"file-{secrets.token_hex(12)}"
        values = {
            "id": file_id,
            "owner": owner,
            "project": self._project,
            "name": shown,
            "purpose": purpose,
            "sha256": digest,
            "size_bytes": size,
            "created_at": self._clock.now(),
        }
        with self._audit.writing() as connection:
            connection.execute(insert(files).values(**values))
            self._audit.append(connection, "file.upload", file_id, details={"sha256": digest, "size_bytes": size})
        return self.get(file_id)

    def get(self, file_id: str) -> Upload:
        """One upload; RecipeError(RUN_NOT_FOUND) when there is none, or it was removed."""
        there = (files.c.id == file_id) & files.c.deleted_at.is_(None) & seen(self._project, files.c.project)
        with self._database.read() as connection:
            row = connection.execute(select(files).where(there)).one_or_none()
        if row is None:
            raise RecipeError(
                ErrorCode.RUN_NOT_FOUND, f"there is no file {file_id!r}", "upload it first: POST /v1/files"
            )
        return _upload(row)

    def place(self, file_id: str) -> Path:
        """Where the content lies; errors as `get`, also for content that is no plain file any more."""
        upload = self.get(file_id)
        # The same content may lie beside it under another suffix, for another reader.
        path = self._folder / upload.sha256 / _stored_name(upload.name)
        if not path.is_file() or path.is_symlink():
            raise RecipeError(
                ErrorCode.RUN_NOT_FOUND, f"the content of {file_id!r} was taken away", "upload it again: POST /v1/files"
            )
        return path

    def page(self, *, after: str | None, limit: int, purpose: str | None) -> list[Upload]:
        """At most `limit` uploads, newest first, older than the one called `after`."""
        there = files.c.deleted_at.is_(None) & seen(self._project, files.c.project)
        query = select(files).where(there).order_by(files.c.seq.desc()).limit(limit)
        if after is not None:
            query = query.where(files.c.seq < self.get(after).seq)
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        with self._database.read() as connection:
            return [_upload(row) for row in connection.execute(query)]

    def remove(self, file_id: str) -> None:
        """Forget an upload. Its content stays as long as it may be needed by a run that was made from it."""
        self.get(file_id)
        with self._audit.writing() as connection:
            self._audit.append(connection, "file.delete", file_id)
            connection.execute(update(files).where(files.c.id == file_id).values(deleted_at=self._clock.now()))

    def _store(self, stream: BinaryIO, name: str) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".new-", delete=False) as written:
                temporary = Path(written.name)
                try:
                    while piece := stream.read(PIECE_BYTES):
                        size += len(piece)
                        if size > self._settings.max_upload_bytes:
                            raise _too_large(self._settings.max_upload_bytes)
                        digest.update(piece)
                        written.write(piece)
                    if size == 0:
                        raise DataError(ErrorCode.INSUFFICIENT_DATA, "the uploaded file is empty", "send its content")
                    written.flush()
                    os.fsync(written.fileno())
                    folder = self._folder / digest.hexdigest()
                    folder.mkdir(exist_ok=True)
                    # The same content under another suffix is another reader's, and lies beside it.
                    temporary.replace(folder / name)
                    fsync_directory(folder)
                finally:
                    temporary.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(error, self._folder) from error
        return digest.hexdigest(), size


def _stored_name(shown: str) -> str:
    suffix = SUFFIX.search(shown)
    return f"content{suffix.group().lower() if suffix else ''}"


def _upload(row: Row[tuple[object, ...]]) -> Upload:
    fields = dict(row._mapping)
    return Upload.model_validate({name: fields[name] for name in Upload.model_fields})


def _too_large(max_bytes: int) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"an upload may have {max_bytes} bytes, this one has more",
        "send less, or raise max_upload_bytes",
    )
