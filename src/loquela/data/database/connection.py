"""A connection that can only read: the database itself refuses to write, and everything is rolled back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from loquela.core import extras
from loquela.core.errors import ErrorCode, InternalError, RecipeError
from loquela.data.database.failures import database_failure
from loquela.data.database.place import FilePlace, ServerPlace
from loquela.security.credentials.credential import Credential

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine import Connection, Engine

# How often SQLite looks at the clock, in steps of its virtual machine; some milliseconds.
CLOCK_STEPS = 20_000
LOCK_WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class NotUtf8:
    """Text of a SQLite database that is no UTF-8."""

    raw: bytes


class Stopwatch:
    """Ends the work on one batch; PostgreSQL has its own, SQLite asks this one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.restart()

    def restart(self) -> None:
        """The next batch begins."""
        self._end = time.monotonic() + self.seconds

    def expired(self) -> int:
        """1 when the time is over: SQLite then gives up."""
        return int(time.monotonic() > self._end)


@contextmanager
def reading(
    place: FilePlace | ServerPlace,
    address: str,
    credential: Credential | None,
    *,
    connect_seconds: float,
    batch_seconds: float,
    encrypted: bool,
) -> Iterator[tuple[Connection, Stopwatch]]:
    """A connection in a read-only transaction, which is rolled back at the end, whatever happened.

    `encrypted` is whether a server must offer TLS (its address may say more with sslmode). Raises RecipeError
    (INVALID_SOURCE), ResourceError (AUTH_FAILED, NETWORK_ERROR, TIMEOUT, READ_FAILED), DataError(CORRUPT_DATA).
    """
    from sqlalchemy.exc import DBAPIError

    watch = Stopwatch(batch_seconds)
    if isinstance(place, FilePlace):
        engine = _file_engine(place, watch)
    else:
        engine = _server_engine(place, credential, connect_seconds, encrypted)
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            try:
                _make_read_only(connection, batch_seconds)
                yield connection, watch
            finally:
                transaction.rollback()
    except DBAPIError as error:
        raise database_failure(error, address, batch_seconds) from error
    finally:
        engine.dispose()


def _make_read_only(connection: Connection, batch_seconds: float) -> None:
    """Ask for it, and prove that the database has understood."""
    if connection.dialect.name == "sqlite":
        proven = connection.exec_driver_sql("PRAGMA query_only").scalar() == 1
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(batch_seconds * 1000)}")
        proven = connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
    if not proven:
        raise InternalError(
            ErrorCode.INTERNAL,
            "the database did not confirm that the transaction is read-only; nothing was asked of it",
            "report this as a bug, with the kind and version of the database",
        )


def _file_engine(place: FilePlace, watch: Stopwatch) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    def connect() -> sqlite3.Connection:
        address = f"file:{quote(str(place.path.resolve()))}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_SECONDS)
        connection.execute("PRAGMA query_only = ON")
        # Views of a stranger's file must not call functions that do more than compute.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.text_factory = _text_or_bytes
        connection.set_progress_handler(watch.expired, CLOCK_STEPS)
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _text_or_bytes(raw: bytes) -> str | NotUtf8:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return NotUtf8(raw)


def _server_engine(
    place: ServerPlace, credential: Credential | None, connect_seconds: float, encrypted: bool
) -> Engine:
    extras.require("psycopg", extra="data", purpose="reading PostgreSQL")
    import psycopg
    from psycopg.conninfo import make_conninfo
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    settings: dict[str, str | int | None] = {
        # The name is for TLS; the connection goes to the addresses that were checked.
        "host": ",".join([place.host] * len(place.addresses)),
        "hostaddr": ",".join(place.addresses),
        "port": str(place.port),
        "dbname": place.database,
        "sslmode": "require" if encrypted else "prefer",
        "connect_timeout": str(max(2, round(connect_seconds))),
        "application_name": "loquela",
        **_login(place, credential),
        **dict(place.options),
    }

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(make_conninfo("", **settings))

    return create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)


def _login(place: ServerPlace, credential: Credential | None) -> dict[str, str]:
    """User and password; without a credential the driver's own variables and files say them."""
    if credential is None:
        return {"user": place.user} if place.user else {}
    if credential.kind != "basic":
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"a database takes a basic credential (username, password), not a {credential.kind} one",
            "keep one: loquela credentials set NAME --kind basic",
        )
    return {"user": credential.secret("username"), "password": credential.secret("password")}
