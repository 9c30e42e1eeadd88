"""Credentials in a SQLite file of the user, each row sealed under its own name."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from loquela.core.atomic import append_line, write_error
from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.core.model import BoundaryModel
from loquela.security.credentials.credential import Credential, from_text, require_name, to_text
from loquela.security.credentials.keys import KeyPlace, Keys, key_place
from loquela.security.credentials.private_files import (
    config_directory,
    make_private_directory,
    make_private_file,
    require_private,
)
from loquela.security.credentials.sealing import Key, seal, unseal

FILE_NAME = "credentials.db"
LOCK_NAME = "credentials.lock"
AUDIT_NAME = "credentials.log"
BUSY_SECONDS = 10.0
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS store (id TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS credentials (name TEXT PRIMARY KEY, kind TEXT NOT NULL, host TEXT, "
    "changed_at TEXT NOT NULL, key_id TEXT NOT NULL, box BLOB NOT NULL)",
)


class StoredCredential(BoundaryModel):
    """What may be shown of a stored credential."""

    name: str
    kind: str
    host: str | None
    changed_at: datetime


class CredentialStore:
    """The file in `directory`; errors are ResourceError (AUTH_FAILED, WRITE_…) and DataError(CORRUPTION)."""

    def __init__(self, directory: Path | None = None, keys: KeyPlace | None = None) -> None:
        self.directory = directory if directory is not None else config_directory()
        self._keys = keys

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self.directory / FILE_NAME

    def put(self, name: str, credential: Credential) -> None:
        """Keep `credential` as `name`, in place of an earlier one."""
        require_name(name)
        with self._writing() as (connection, store_id):
            key = self._place().load().current
            box = seal(key, to_text(credential).encode("utf-8"), _identity(store_id, name, key))
            connection.execute(
                "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?)",
                (name, credential.kind, credential.host, datetime.now(UTC).isoformat(), key.id, box),
            )
        self._audit("set", name)

    def get(self, name: str) -> Credential | None:
        """The credential called `name`; DataError(CORRUPTION) when its row was changed or moved."""
        if not self.path.exists():
            return None
        with self._locked(fcntl.LOCK_SH), self._connected() as (connection, store_id):
            row = connection.execute("SELECT key_id, box FROM credentials WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            plain = _opened(self._place().load(), str(row[0]), bytes(row[1]), store_id, name)
        self._audit("get", name)
        return from_text(plain.decode("utf-8"), name)

    def listed(self) -> list[StoredCredential]:
        """What is kept, by name; no secret is opened."""
        if not self.path.exists():
            return []
        with self._connected() as (connection, _):
            rows = connection.execute("SELECT name, kind, host, changed_at FROM credentials ORDER BY name").fetchall()
        return [
            StoredCredential(name=name, kind=kind, host=host, changed_at=changed_at)
            for name, kind, host, changed_at in rows
        ]

    def remove(self, name: str) -> bool:
        """Forget `name`; whether it was there."""
        if not self.path.exists():
            return False
        with self._writing() as (connection, _):
            removed = connection.execute("DELETE FROM credentials WHERE name = ?", (name,)).rowcount > 0
        if removed:
            self._audit("remove", name)
        return removed

    def rotate(self) -> int:
        """Seal every row with a new key and forget the old one; how many there were.

        Safe at every moment: both keys are kept before a row changes, all rows change in one transaction, and the old
        key goes when no row needs it. Keys from the environment are not replaced: the first of them is the new one.
        """
        with self._writing() as (connection, store_id):
            place = self._place()
            keys = place.load()
            fresh = Key.fresh()
            if place.replace(Keys(fresh, (keys.current, *keys.older))):
                keys = Keys(fresh, (keys.current, *keys.older))
            rows = connection.execute("SELECT name, key_id, box FROM credentials").fetchall()
            for name, key_id, box in rows:
                plain = _opened(keys, str(key_id), bytes(box), store_id, str(name))
                resealed = seal(keys.current, plain, _identity(store_id, str(name), keys.current))
                connection.execute(
                    "UPDATE credentials SET key_id = ?, box = ? WHERE name = ?", (keys.current.id, resealed, name)
                )
            # The old key may go only when the new rows are on disk, and before another process writes with it.
            connection.execute("COMMIT")
            place.replace(Keys(keys.current))
        self._audit("rotate", f"{len(rows)} credentials")
        return len(rows)

    def _place(self) -> KeyPlace:
        if self._keys is None:
            self._keys = key_place(self.directory)
        return self._keys

    def _audit(self, action: str, what: str) -> None:
        line = {"time": datetime.now(UTC).isoformat(), "action": action, "credential": what}
        append_line(self.directory / AUDIT_NAME, json.dumps(line))

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, str]]:
        """One process at a time; everything inside happens or nothing."""
        make_private_directory(self.directory)
        make_private_file(self.path)
        with self._locked(fcntl.LOCK_EX), self._connected() as (connection, store_id):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection, store_id
                if connection.in_transaction:
                    connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Rows and keys change together, so whoever reads both keeps writers out meanwhile."""
        make_private_file(self.directory / LOCK_NAME)
        with (self.directory / LOCK_NAME).open("w") as lock:
            fcntl.flock(lock, kind)
            yield

    @contextmanager
    def _connected(self) -> Iterator[tuple[sqlite3.Connection, str]]:
        require_private(self.path)
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA synchronous = FULL")
                yield connection, _store_id(connection)
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error
        except OSError as error:
            raise write_error(error, self.path) from error


def _store_id(connection: sqlite3.Connection) -> str:
    """The random name of this file, so that a row of another store does not open here."""
    made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'credentials'").fetchone()
    if made is None:
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            connection.execute(statement)
        if connection.execute("SELECT 1 FROM store").fetchone() is None:
            connection.execute("INSERT INTO store VALUES (?)", (str(uuid4()),))
        connection.execute("COMMIT")
    return str(connection.execute("SELECT id FROM store").fetchone()[0])


def _identity(store_id: str, name: str, key: Key) -> str:
    return f"loquela.credential.v1\n{store_id}\n{name}\n{key.id}"


def _opened(keys: Keys, key_id: str, box: bytes, store_id: str, name: str) -> bytes:
    key = keys.find(key_id)
    if key is None:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"the credential {name!r} was sealed with the key {key_id}, which is not among the keys of the store",
            f"bring that key back, or set it again: loquela credentials set {name}",
            details={"credential": name, "key_id": key_id},
        )
    return unseal(key, box, _identity(store_id, name, key), f"the credential {name!r}")


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> ResourceError:
    return ResourceError(
        ErrorCode.READ_FAILED,
        f"the credential store {path} cannot be used: {error}",
        f"move it away (mv {path} {path}.old) and set the credentials again",
        details={"path": str(path)},
    )
