"""One door to SQLite and PostgreSQL: opened by URL, brought to the newest schema, written in short transactions.

SQLite keeps a write-ahead log and waits for other writers; every write takes its lock at once (BEGIN IMMEDIATE), so
that no transaction finds out halfway that somebody was faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.pool import ConnectionPoolEntry

from loquela.core import extras
from loquela.core.errors import ErrorCode, RecipeError, ResourceError

BUSY_SECONDS = 15.0
# A process that stands still in the middle of a transaction must not keep all others waiting for ever.
STANDSTILL_SECONDS = 60
# Of an SQLite file, for as many threads as an API process answers with: who only reads waits for no writer.
CONNECTIONS = {"pool_size": 5, "max_overflow": 45, "pool_timeout": 30.0}
POSTGRESQL_WRITERS = 7_205_121
# A server that vanished, its machine and all, is noticed: TCP by itself waits for a quarter of an hour.
REACHED = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
IMMEDIATE = "loquela_immediate"


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path}"


class Database:
    """An engine and the two ways to use it. Give the URL to another process, not the object."""

    def __init__(self, url: str) -> None:
        """RecipeError(CONFIG_INVALID) for a URL of another kind than sqlite:/// and postgresql://."""
        self.url = url
        self.engine = _engine(url)

    @property
    def is_sqlite(self) -> bool:
        """Whether the truth is a file that only this machine sees."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment; ResourceError(PERSISTENCE_FAILED) when the database cannot be used."""
        with _told(self.url), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is made durable when the block ends, and undone when it raises; errors as `read`."""
        with _told(self.url), self.engine.connect().execution_options(**{IMMEDIATE: True}) as connection:
            with connection.begin():
                if not self.is_sqlite:
                    # One writer at a time, as SQLite has it: whoever follows the events by their numbers must never see
                    # one before another with a lower number, which an open transaction still holds.
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRESQL_WRITERS})
                yield connection

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except (OverflowError, DataError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "a number or a text in the request is none that the database can hold",
            "send smaller numbers, and texts without the letter NUL",
        ) from error
    except DBAPIError as error:
        raise _away(url, str(error.orig)) from error
    except NoConnectionLeft as error:
        # Everybody waits for it already.
        raise _away(url, "it answers so slowly that no connection is left") from error


def _away(url: str, why: str) -> ResourceError:
    return ResourceError(
        ErrorCode.PERSISTENCE_FAILED,
        f"the database {shown(url)} cannot be used: {why}",
        "see that it is there, writable and not full; the same request works as soon as it is back",
        retryable=True,
    )


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "<not a database URL>"


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _refused(url) from error
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    if parsed.get_backend_name() == "postgresql":
        extras.require("psycopg", extra="service", purpose="keeping the service's state in PostgreSQL")
        try:
            # A connection that the server has dropped is noticed before it is used.
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                connect_args={name: value for name, value in REACHED.items() if name not in parsed.query},
            )
        except SQLAlchemyError as error:
            raise _refused(url) from error
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    raise _refused(url)


def _sqlite_engine(url: str) -> Engine:
    # Autocommit: the driver must not begin transactions by itself.
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None}, **CONNECTIONS
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{STANDSTILL_SECONDS}s'")
    cursor.close()
    # A setting of a transaction that is undone is undone with it.
    connection.commit()


def _prepare_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    """The wait is set first: switching the log on meets locks too."""
    cursor = connection.cursor()
    for setting in (
        f"busy_timeout={int(BUSY_SECONDS * 1000)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "mmap_size=0",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _refused(url: str) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"{shown(url)} is not a database that the service can use",
        "write sqlite:///path/to/file.db or postgresql://user:password@host/name",
    )
