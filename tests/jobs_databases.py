"""The two databases that every test of the jobs runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loquela.jobs.database import Database, sqlite_url
from loquela.jobs.schema import migrate
from loquela.jobs.tables import metadata
from postgresql_server import PASSWORD, CannotStart, PostgresqlServer

KINDS = ("sqlite", "postgresql")
_servers: list[PostgresqlServer] = []


def postgresql() -> PostgresqlServer:
    """The server of this session, started when it is first asked for; skips where none can run."""
    if not _servers:
        try:
            _servers.append(PostgresqlServer())
        except CannotStart as error:
            pytest.skip(str(error))
    return _servers[0]


def stop_servers() -> None:
    """End what `postgresql` started."""
    while _servers:
        _servers.pop().close()


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[Database]:
    """An empty database with the newest schema."""
    if kind == "sqlite":
        database = Database(sqlite_url(folder / "jobs.db"))
    else:
        server = postgresql()
        database = Database(f"postgresql://owner:{PASSWORD}@127.0.0.1:{server.port}/books")
        with database.write() as connection:
            metadata.drop_all(connection)
            connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    migrate(database)
    try:
        yield database
    finally:
        database.close()
