"""Which database an address means, checked: a file that is there, or a server that may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loquela.core import extras
from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.objects.local_text import require_readable
from loquela.security.addresses import permitted_addresses

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

# What may stand behind the question mark; others could name another server than the one that was checked.
SERVER_OPTIONS = ("sslmode", "sslrootcert")
POSTGRESQL_PORT = 5432
EXAMPLES = "sqlite:///books.db, sqlite:////home/me/books.db, postgresql://db.example.org/books"


@dataclass(frozen=True)
class FilePlace:
    """A SQLite database."""

    path: Path


@dataclass(frozen=True)
class ServerPlace:
    """A PostgreSQL server, with the addresses that its host name led to when it was checked."""

    host: str
    port: int
    database: str
    user: str | None
    addresses: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def database_place(address: str, *, allow_private: bool) -> FilePlace | ServerPlace:
    """The database at `address`.

    Raises RecipeError(INVALID_SOURCE) for an address that names none or must not be asked, DataError(DATA_NOT_FOUND)
    for a missing file, ResourceError (NETWORK_ERROR, MISSING_EXTRA).
    """
    extras.require("sqlalchemy", extra="data", purpose="reading databases")
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise _unusable("the address of a database source cannot be read", f"write one such as {EXAMPLES}") from None
    if url.password is not None:
        raise _unusable(
            f"the address of the database on {url.host} holds a password, which would be written into every artifact",
            "keep it with: loquela credentials set NAME --kind basic; and write credential: NAME",
        )
    return _file_place(url) if url.get_backend_name() == "sqlite" else _server_place(url, allow_private)


def _file_place(url: URL) -> FilePlace:
    if not url.database or url.database == ":memory:" or url.host or url.query:
        raise _unusable("a sqlite address names a file and nothing else", f"write it like {EXAMPLES}")
    path = Path(url.database).expanduser()
    require_readable(path)
    return FilePlace(path)


def _server_place(url: URL, allow_private: bool) -> ServerPlace:
    if not url.host or not url.database:
        raise _unusable("a postgresql address names a host and a database", f"write it like {EXAMPLES}")
    unknown = sorted(set(url.query) - set(SERVER_OPTIONS))
    if unknown:
        raise _unusable(
            f"the option {unknown[0]} of a postgresql address is not taken; known: {', '.join(SERVER_OPTIONS)}",
            "remove it",
        )
    port = url.port or POSTGRESQL_PORT
    return ServerPlace(
        host=url.host,
        port=port,
        database=url.database,
        user=url.username,
        addresses=tuple(permitted_addresses(url.host, port, allow_private=allow_private)),
        options=tuple((name, str(value)) for name, value in url.query.items()),
    )


def _unusable(what: str, remedy: str) -> RecipeError:
    return RecipeError(ErrorCode.INVALID_SOURCE, what, remedy)
