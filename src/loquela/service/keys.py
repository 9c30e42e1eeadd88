"""API keys in the database: made, checked, listed, revoked."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from pydantic import Field
from sqlalchemy import insert, select, update

from loquela.core.atomic import write_error
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.audit import AuditLog
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.projects import check_name, owner_of
from loquela.jobs.records import JsonObject
from loquela.jobs.tables import api_keys
from loquela.security.api_keys import ApiKey, key_digest, new_key, parse_key, same_digest

PEPPER_BYTES = 32
# A busy key is not written down at every request.
LAST_USED_EVERY_SECONDS = 60.0


class Scope(StrEnum):
    """What a key may do; admin may do everything."""

    READ = "read"
    RUN = "run"
    INFER = "infer"
    ADMIN = "admin"


class KeyRecord(BoundaryModel):
    """What is known of a key; the key itself is not. Times are seconds since 1970, UTC."""

    id: str
    name: str
    scopes: list[Scope]
    owner: str
    project: str | None = Field(None, description="it sees and makes only what is of this project; null: it sees all")
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether it may do this."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class KeyStore:
    """Keys under the pepper that lies in the data folder, readable by its owner alone."""

    def __init__(self, database: Database, clock: Clock, folder: Path, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._pepper = load_or_make_secret(folder / "pepper", PEPPER_BYTES)

    def create(
        self, name: str, scopes: list[Scope], *, project: str | None = None, expires_at: float | None = None
    ) -> tuple[ApiKey, KeyRecord]:
        """A new key, which nobody can show again, and its record.

        Raises RecipeError(CONFIG_INVALID) for a project that cannot be one, or whose key would be an administrator's.
        """
        if project is not None:
            _check_bound(project, scopes)
        key = new_key()
        values = {
            "id": key.id,
            "name": name,
            "digest": key_digest(self._pepper, key),
            "scopes": json.dumps(sorted(scopes)),
            "owner": owner_of(project),
            "project": project,
            "created_at": self._clock.now(),
            "expires_at": expires_at,
        }
        with self._audit.writing() as connection:
            connection.execute(insert(api_keys).values(**values))
            details: JsonObject = {"name": name, "scopes": [*scopes], "project": project, "expires_at": expires_at}
            self._audit.append(connection, "key.create", key.id, details=details)
        return key, self.get(key.id)

    def check(self, text: str) -> KeyRecord | None:
        """The record of a key that is whole, known, not expired and not revoked; None otherwise."""
        key = parse_key(text)
        candidate = key or ApiKey("", text)
        # The same work for a key that is none: how long it took tells nothing.
        digest = key_digest(self._pepper, candidate)
        with self._database.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == candidate.id)).one_or_none()
        known = row.digest if row is not None else key_digest(self._pepper, ApiKey("", ""))
        if not same_digest(digest, known) or row is None or key is None:
            return None
        record = _record(dict(row._mapping))
        now = self._clock.now()
        if record.revoked_at is not None or (record.expires_at is not None and record.expires_at <= now):
            return None
        if record.last_used_at is None or now - record.last_used_at >= LAST_USED_EVERY_SECONDS:
            with self._database.write() as connection:
                connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(last_used_at=now))
        return record

    def get(self, key_id: str) -> KeyRecord:
        """One record; RecipeError(RUN_NOT_FOUND) when there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
        if row is None:
            raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"there is no key {key_id!r}", "list them: loquela keys list")
        return _record(dict(row._mapping))

    def list(self) -> list[KeyRecord]:
        """All records, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)).all()
        return [_record(dict(row._mapping)) for row in rows]

    def revoke(self, key_id: str) -> KeyRecord:
        """End a key at once; a second time changes nothing."""
        self.get(key_id)
        unrevoked = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        with self._audit.writing() as connection:
            if connection.execute(update(api_keys).where(unrevoked).values(revoked_at=self._clock.now())).rowcount:
                self._audit.append(connection, "key.revoke", key_id)
        return self.get(key_id)


def load_or_make_secret(path: Path, size_bytes: int) -> bytes:
    """The secret in `path`, made by whoever comes first, whole from the first moment; only its owner may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.is_file():
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-") as stream:
                stream.write(secrets.token_bytes(size_bytes))
                stream.flush()
                os.fsync(stream.fileno())
                with suppress(FileExistsError):
                    os.link(stream.name, path)
        return path.read_bytes()
    except OSError as error:
        raise write_error(error, path) from error


def _check_bound(project: str, scopes: list[Scope]) -> None:
    check_name(project)
    if Scope.ADMIN in scopes:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"a key of the project {project!r} cannot have the scope admin, which reaches over all projects",
            "leave --project out, or give it --scope read --scope run --scope infer",
        )


def _record(fields: dict[str, object]) -> KeyRecord:
    fields.pop("digest")
    fields["scopes"] = json.loads(str(fields["scopes"]))
    return KeyRecord.model_validate(fields)
