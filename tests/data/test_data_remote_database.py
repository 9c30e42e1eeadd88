"""Databases: one checked SELECT, read-only by the database's own word, every row accounted for."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_lines import arrow, changes

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.data.access.source_registry import source_for
from loquela.data.database.failures import database_failure
from loquela.data.database.place import database_place
from loquela.data.database.statement import checked_statement
from loquela.data.source_contract import SourceRequest
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security.credentials.credential import Credential, from_text
from postgresql_server import PASSWORD, CannotStart, PostgresqlServer

ROWS = [
    (1, "Uno: una frase.", "es", "a"),
    (2, None, "es", "a"),
    (3, "Three\r\nlines\rof text.", "en", None),
    (4, 17, "en", "b"),
    (5, "", None, "b"),
    (6, "ñandú 🦜", "es", "b"),
]
QUERY = "SELECT id, text, language, shelf FROM books ORDER BY id"


def _entry(address: str, query: str = QUERY, **more: object) -> SourceEntry:
    options = {
        "query": query,
        **{key: more.pop(key) for key in ("parameters", "batch_rows", "timeout_seconds") if key in more},
    }
    return SourceEntry.model_validate({"address": address, "database": options, **more})


def _request(entry: SourceEntry, *, private: bool = True, secret: str | None = None) -> SourceRequest:
    section = DataSection(sources=[entry], allow_private_addresses=private, timeout_seconds=5.0)

    def find(name: str) -> Credential:
        assert secret is not None
        return from_text(secret, name)

    return SourceRequest(entry, section, Path("unused"), find_credential=find)


def _read(request: SourceRequest, tally: Tally | None = None) -> list[tuple[int | None, str]]:
    texts = source_for(request.address).read(request, tally or Tally())
    return [(text.record, "".join(text.pieces)) for text in texts]


@pytest.fixture
def library(tmp_path: Path) -> str:
    path = tmp_path / "books.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, text, language TEXT, shelf TEXT)")
        connection.executemany("INSERT INTO books VALUES (?, ?, ?, ?)", ROWS)
    return f"sqlite:///{path}"


# ── statements ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "sql"),
    [
        ("SELECT a FROM t ORDER BY a", None),
        ("  -- first\nselect a from t order by a ;  -- last\n", "select a from t order by a"),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a", None),
        (
            "SELECT a::text FROM t WHERE b = '12:30 :x;' ORDER BY a",
            r"SELECT a::text FROM t WHERE b = '12\:30 \:x;' ORDER BY a",
        ),
        (
            "SELECT a FROM t WHERE b LIKE '%stock%' AND c = '{\"k\": 1}' ORDER BY 1",
            "SELECT a FROM t WHERE b LIKE '%stock%' AND c = '{\"k\"\\: 1}' ORDER BY 1",
        ),
        ("SELECT $$it's; %s$$ AS a ORDER BY a", None),
        ("SELECT $q$a ; $$ b$q$ AS a, E'\\';' AS b ORDER BY a", None),
        ('SELECT "a;b" FROM t ORDER BY 1', None),
    ],
)
def test_statements_that_pass(query: str, sql: str | None) -> None:
    assert checked_statement(query, {}).sql == (sql or query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM t", "begins with 'DELETE'; only SELECT"),
        ("", "begins with ''; only SELECT"),
        ("/* SELECT */ DROP TABLE t", "begins with 'DROP'"),
        ("SELECT 1 ORDER BY 1; DELETE FROM t", "holds more than one statement"),
        ("SELECT 1 ORDER BY 1;;", None),
        ("SELECT a FROM t WHERE b = %s ORDER BY a", "has the formatting mark %s; values are never pasted"),
        ("SELECT a FROM t WHERE b = '%s' ORDER BY a", "has the formatting mark '%s'"),
        ("SELECT a FROM t WHERE b = %(name)s ORDER BY a", r"has the formatting mark %\(name\)s"),
        ("SELECT a FROM {table} ORDER BY a", "has the formatting mark {table}"),
        ("SELECT a FROM t WHERE b = '{name}' ORDER BY a", "has the formatting mark '{name}'"),
        ("SELECT a FROM t WHERE b = ? ORDER BY a", r"has the formatting mark \?"),
        ("SELECT a FROM t WHERE b = $1 ORDER BY a", r"has the formatting mark \$1"),
        ("SELECT a FROM t WHERE b = :name ORDER BY a", "names :name, which has no value"),
        ("SELECT a FROM t", "has no ORDER BY"),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a) x", "has no ORDER BY"),
        ("SELECT a FROM t -- ORDER BY a", "has no ORDER BY"),
        ("SELECT 'open FROM t ORDER BY a", "has a quote that is not closed"),
    ],
)
def test_statements_that_do_not(query: str, said: str | None) -> None:
    if said is None:
        assert checked_statement(query, {}).sql == "SELECT 1 ORDER BY 1"
        return
    with pytest.raises(RecipeError, match=f"the query of the database source {said}") as caught:
        checked_statement(query, {})
    assert caught.value.code == ErrorCode.INVALID_SOURCE


def test_a_parameter_that_is_not_used() -> None:
    with pytest.raises(RecipeError, match="does not use the parameter b"):
        checked_statement("SELECT a FROM t WHERE a = :a ORDER BY a", {"a": 1, "b": 2})


@settings(max_examples=80, deadline=None)
@given(st.text("SELCT abc'\";:%s{}()$-/*\n1", max_size=40))
def test_no_query_passes_that_holds_a_second_statement(text: str) -> None:
    """Whatever passes, SQLite takes as one statement or refuses as none."""
    try:
        statement = checked_statement(f"SELECT 1 {text} ORDER BY 1", {})
    except RecipeError:
        return
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(statement.sql.replace("\\:", ":"))
        except sqlite3.OperationalError:
            return
        except (sqlite3.Warning, sqlite3.ProgrammingError) as error:
            assert "one statement at a time" not in str(error)


# ── SQLite ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_become_texts_and_every_loss_has_a_reason(library: str) -> None:
    request = _request(_entry(library, labels=["language"], split_by="shelf", name="books", batch_rows=2))
    tally = Tally()
    texts = list(source_for(library).read(request, tally))
    assert [text.record for text in texts] == [1, 3, 5, 6]
    found = ["".join(text.pieces) for text in texts]
    assert found == ["Uno: una frase.", "Three\nlines\nof text.", "", "ñandú 🦜"]
    assert [dict(text.labels) for text in texts] == [{"language": "es"}, {"language": "en"}, {}, {"language": "es"}]
    assert [text.split_key for text in texts] == ["a", None, "b", "b"]
    assert {(text.name, text.object_name) for text in texts} == {("books", "books")}
    assert texts[0].raw_sha256 == hashlib.sha256(b"Uno: una frase.").hexdigest()
    read = arrow(tally)
    assert (read.items_in, read.items_out) == (6, 4)
    assert changes(tally) == {
        "text_is_null": (0, -1),
        "text_is_not_text": (-2, -1),
    }
    assert read.bytes_in - 2 == read.bytes_out == 15 + 21 + 0 + 12


def test_values_are_bound_never_pasted(library: str) -> None:
    query = "SELECT text FROM books WHERE language = :language AND id < :most ORDER BY id"
    entry = _entry(library, query, parameters={"language": "es", "most": 6})
    assert _read(_request(entry)) == [(1, "Uno: una frase.")]
    evil = _entry(library, query, parameters={"language": "es' OR '1'='1", "most": 99})
    assert _read(_request(evil)) == []


def test_fingerprint_is_of_what_is_used_in_its_order(library: str) -> None:
    def fingerprint(query: str = QUERY, **more: object) -> tuple[int, int, str]:
        request = _request(_entry(library, query, **more))
        found = source_for(library).fingerprint(request)
        return found.texts, found.bytes, found.sha256

    first = fingerprint()
    assert first[:2] == (6, 15 + 21 + 0 + 12)
    assert fingerprint() == first == fingerprint(batch_rows=1)
    assert fingerprint(QUERY + " DESC")[2] != first[2]
    assert fingerprint(labels=["language"])[2] != first[2]
    with closing(sqlite3.connect(library.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE books SET language = 'pt' WHERE id = 1")
    assert fingerprint() == first
    with closing(sqlite3.connect(library.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE books SET text = NULL WHERE id = 5")
    assert fingerprint()[2] != first[2]


def test_text_that_is_no_utf8_is_counted(library: str) -> None:
    with closing(sqlite3.connect(library.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE books SET text = CAST(x'61f16f' AS TEXT) WHERE id = 1")
        connection.execute("UPDATE books SET text = x'61f1' WHERE id = 3")
    tally = Tally()
    assert [record for record, _ in _read(_request(_entry(library)), tally)] == [5, 6]
    assert changes(tally) == {
        "text_is_not_utf-8": (-3, -1),
        "text_is_null": (0, -1),
        "text_is_not_text": (-4, -2),
    }


def test_check_says_what_is_there(library: str) -> None:
    checked = source_for(library).check(_request(_entry(library)))
    size = Path(library.removeprefix("sqlite:///")).stat().st_size
    assert (checked.size_bytes, checked.formats) == (size, ["rows"])
    assert checked.message == f"{library} answers and is read-only, about {size:,} bytes"


@pytest.mark.parametrize(
    ("query", "more", "said"),
    [
        (QUERY, {"text": "txet"}, "the query of .* has no column 'txet'; did you mean 'text'"),
        (QUERY, {"labels": ["langauge"]}, "has no column 'langauge'; did you mean 'language'"),
        (QUERY, {"labels": ["zzzzzz"]}, "has no column 'zzzzzz'; there are: id, text, language, shelf"),
        ("SELECT id, shelf FROM books ORDER BY id", {}, r"has no column with a usual name for text \(text, content"),
        ("SELECT author FROM books ORDER BY id", {}, "cannot run the query: no such column: author"),
        ("SELECT id FROM shelves ORDER BY id", {}, "cannot run the query: no such table: shelves"),
    ],
)
def test_wrong_names(library: str, query: str, more: dict, said: str) -> None:
    for work in ("check", "fingerprint"):
        with pytest.raises(LoquelaError, match=said) as caught:
            getattr(source_for(library), work)(_request(_entry(library, query, **more)))
        assert caught.value.code == ErrorCode.INVALID_SOURCE


def test_a_single_column_needs_no_name(library: str) -> None:
    entry = _entry(library, "SELECT upper(text) FROM books WHERE id = 1 ORDER BY id")
    assert _read(_request(entry)) == [(1, "UNO: UNA FRASE.")]


def test_the_database_itself_refuses_to_write(library: str) -> None:
    """Even a statement that got past every check of ours."""
    import loquela.data.sources.database as module

    request = _request(_entry(library))
    with module._reading(request, module._place(request)) as (connection, _):
        with pytest.raises(Exception, match="readonly database|query_only"):
            connection.exec_driver_sql("DELETE FROM books")
        assert connection.exec_driver_sql("SELECT count(*) FROM books").scalar() == 6


def test_an_unproven_read_only_transaction_is_not_used(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.engine import Connection

    class Silent:
        def scalar(self) -> int:
            return 0

    monkeypatch.setattr(Connection, "exec_driver_sql", lambda self, statement: Silent())
    with pytest.raises(LoquelaError, match="the database did not confirm that the transaction is read-only"):
        source_for(library).check(_request(_entry(library)))


def test_a_query_that_never_ends_is_ended(library: str) -> None:
    query = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT 'x' || count(*) AS text FROM n ORDER BY 1"
    )
    with pytest.raises(ResourceError, match="worked on one batch for more than 0.1 s") as caught:
        _read(_request(_entry(library, query, timeout_seconds=0.1)))
    assert caught.value.code == ErrorCode.TIMEOUT


def test_files_that_are_no_database(tmp_path: Path) -> None:
    (tmp_path / "books.db").write_bytes(b"this is no database, though it is long enough for its header" * 20)
    with pytest.raises(DataError, match=r"books.db is no usable database: file is not a database") as caught:
        source_for("sqlite:").check(_request(_entry(f"sqlite:///{tmp_path}/books.db")))
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    with pytest.raises(DataError, match=r"no file or folder .*bock.db; did you mean .*books.db"):
        source_for("sqlite:").check(_request(_entry(f"sqlite:///{tmp_path}/bock.db")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["books.db"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sqlite://", "a sqlite address names a file and nothing else"),
        ("sqlite:///:memory:", "a sqlite address names a file"),
        ("sqlite:///a.db?mode=rw", "a sqlite address names a file"),
        ("postgresql://", "names a host and a database"),
        ("postgresql://h.example/", "names a host and a database"),
        ("postgresql://h.example/books?host=10.0.0.1", "the option host of a postgresql address is not taken"),
        ("postgresql://u:opensesame@h.example/books", "database on h.example holds a password"),
        ("postgresql:nonsense", "cannot be read"),
        ("postgresql://h.example:port/books", "cannot be read"),
    ],
)
def test_bad_addresses(address: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        database_place(address, allow_private=True)
    assert "opensesame" not in str(caught.value)


def test_a_server_at_a_private_address_must_be_meant() -> None:
    with pytest.raises(RecipeError, match="127.0.0.1 leads to 127.0.0.1, a loopback address"):
        database_place("postgresql://127.0.0.1/books", allow_private=False)


def test_a_database_without_a_query(library: str) -> None:
    with pytest.raises(RecipeError, match="is a database without a query"):
        source_for(library).check(_request(SourceEntry(address=library)))


def test_failures_by_whose_fault_they_are() -> None:
    class Raised:
        def __init__(self, message: str, state: str | None = None) -> None:
            self.orig = Exception(message)
            if state:
                self.orig.sqlstate = state

    cases = [
        (
            Raised("database is locked"),
            ResourceError,
            ErrorCode.READ_FAILED,
            "reading from x failed: database is locked",
        ),
        (
            Raised("server closed the connection", "08006"),
            ResourceError,
            ErrorCode.NETWORK_ERROR,
            "reading from x failed",
        ),
        (Raised("division by zero", "22012"), RecipeError, ErrorCode.INVALID_SOURCE, "x cannot run the query"),
        (Raised("", "28P01"), ResourceError, ErrorCode.AUTH_FAILED, "x refuses access"),
        (
            Raised("attempt to write a readonly database"),
            RecipeError,
            ErrorCode.INVALID_SOURCE,
            "would change the database",
        ),
    ]
    for raised, kind, code, said in cases:
        failure = database_failure(raised, "x", 1.0)
        assert (type(failure), failure.code) == (kind, code)
        assert said in failure.message


MEASURE = """
import resource, sys
from pathlib import Path
from loquela.data.source_contract import SourceRequest
from loquela.data.access.source_registry import source_for
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
def peak(rows):
    entry = SourceEntry.model_validate({"address": sys.argv[1], "name": str(rows), "database": {
        "query": "SELECT text FROM many WHERE id <= :rows ORDER BY id", "parameters": {"rows": rows}}})
    request = SourceRequest(entry, DataSection(sources=[entry], allow_private_addresses=True), Path("x"))
    count = sum(1 for text in source_for(entry.address).read(request, Tally()) for piece in text.pieces)
    assert count == rows, count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
few = peak(5_000)
print(peak(200_000) - few)
"""


def _grown_kilobytes(address: str, **environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, address],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_memory_stays_flat_over_200_000_rows(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE many (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO many VALUES (?, ?)", ((n, f"{n:200}") for n in range(1, 200_001)))
    assert _grown_kilobytes(f"sqlite:///{path}") < 8_000


# ── PostgreSQL ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    try:
        server = PostgresqlServer()
    except CannotStart as error:
        pytest.skip(str(error))
    with server.connect() as connection:
        connection.execute("CREATE TABLE books (id int PRIMARY KEY, text text, language text, shelf text)")
        connection.cursor().executemany(
            "INSERT INTO books VALUES (%s, %s, %s, %s)", [row for row in ROWS if not isinstance(row[1], int)]
        )
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("GRANT ALL ON books TO reader")
    yield server
    server.close()


OWNER = f'{{"kind": "basic", "username": "owner", "password": "{PASSWORD}"}}'
READER = f'{{"kind": "basic", "username": "reader", "password": "{PASSWORD}"}}'


def test_postgresql_rows_checks_and_fingerprints(postgresql: PostgresqlServer) -> None:
    entry = _entry(postgresql.address, labels=["language"], split_by="shelf", credential="library", batch_rows=2)
    request = _request(entry, secret=READER)
    source = source_for(entry.address)
    checked = source.check(request)
    assert checked.formats == ["rows"] and (checked.texts or 0) > 0 and (checked.size_bytes or 0) > 0
    tally = Tally()
    assert _read(request, tally) == [(1, "Uno: una frase."), (3, "Three\nlines\nof text."), (4, ""), (5, "ñandú 🦜")]
    assert changes(tally) == {"text_is_null": (0, -1)}
    first = source.fingerprint(request)
    assert source.fingerprint(request) == first
    assert (first.texts, first.bytes) == (5, 48)


def test_postgresql_and_sqlite_have_the_same_fingerprint_for_the_same_rows(
    postgresql: PostgresqlServer, library: str
) -> None:
    query = "SELECT text, language FROM books WHERE id <> :left_out ORDER BY id"
    options = {"parameters": {"left_out": 4}, "labels": ["language"]}
    here = _request(_entry(library, query, **options))
    there = _request(_entry(postgresql.address, query, credential="library", **options), secret=READER)
    assert source_for(library).fingerprint(here) == source_for(postgresql.address).fingerprint(there)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "WITH gone AS (DELETE FROM books RETURNING text) SELECT text FROM gone ORDER BY text",
            "cannot run the query: DECLARE CURSOR must not contain data-modifying statements",
        ),
        (
            "SELECT text INTO copies FROM books ORDER BY text",
            r"cannot run the query: SELECT \.\.\. INTO is not allowed",
        ),
        (
            "SELECT text FROM books ORDER BY text FOR UPDATE",
            "would change the database, which refused: cannot execute SELECT FOR UPDATE in a read-only",
        ),
        (
            "SELECT set_config('transaction_read_only', 'off', false) AS text ORDER BY 1",
            "would change the database, which refused: transaction read-write mode must be set before",
        ),
        (
            "SELECT nextval('counter')::text AS text ORDER BY 1",
            "would change the database, which refused: cannot execute nextval",
        ),
    ],
)
def test_postgresql_refuses_to_write(postgresql: PostgresqlServer, query: str, said: str) -> None:
    with postgresql.connect() as connection:
        connection.execute("CREATE SEQUENCE IF NOT EXISTS counter")
        before = connection.execute("SELECT count(*), sum(length(text)) FROM books").fetchone()
    request = _request(_entry(postgresql.address, query, text="text", credential="library"), secret=OWNER)
    with pytest.raises((RecipeError, ResourceError), match=said):
        source_for(postgresql.address).fingerprint(request)
    with postgresql.connect() as connection:
        assert connection.execute("SELECT count(*), sum(length(text)) FROM books").fetchone() == before
        assert connection.execute("SELECT to_regclass('copies')").fetchone() == (None,)


def test_postgresql_refuses_strangers(postgresql: PostgresqlServer) -> None:
    wrong = _entry(postgresql.address, credential="library")
    for secret in (
        '{"kind": "basic", "username": "reader", "password": "wrong"}',
        '{"kind": "basic", "username": "nobody", "password": "wrong"}',
    ):
        with pytest.raises(ResourceError, match="refuses access: .*authentication failed") as caught:
            source_for(wrong.address).check(_request(wrong, secret=secret))
        assert caught.value.code == ErrorCode.AUTH_FAILED
        assert "wrong" not in str(caught.value)
    with pytest.raises(RecipeError, match="a database takes a basic credential .*, not a bearer one"):
        source_for(wrong.address).check(_request(wrong, secret="token"))  # noqa: S106


def test_postgresql_wants_an_encrypted_line_to_strangers(postgresql: PostgresqlServer) -> None:
    entry = _entry(postgresql.address + "?sslmode=require", credential="library")
    with pytest.raises(ResourceError, match="server does not support SSL, but SSL was required"):
        source_for(entry.address).check(_request(entry, secret=READER))


def test_postgresql_statement_timeout(postgresql: PostgresqlServer) -> None:
    entry = _entry(
        postgresql.address, "SELECT pg_sleep(30)::text AS text ORDER BY 1", credential="x", timeout_seconds=0.2
    )
    with pytest.raises(ResourceError, match="worked on one batch for more than 0.2 s") as caught:
        _read(_request(entry, secret=READER))
    assert caught.value.code == ErrorCode.TIMEOUT


def test_postgresql_wrong_names(postgresql: PostgresqlServer) -> None:
    entry = _entry(postgresql.address, "SELECT nothing FROM books ORDER BY id", credential="x")
    with pytest.raises(RecipeError, match='cannot run the query: column "nothing" does not exist'):
        source_for(entry.address).check(_request(entry, secret=READER))


def test_nobody_answers() -> None:
    entry = _entry("postgresql://127.0.0.1:9/books", credential="x")
    with pytest.raises(ResourceError, match="reading from postgresql://127.0.0.1:9/books failed") as caught:
        source_for(entry.address).check(_request(entry, secret=READER))
    assert caught.value.code == ErrorCode.NETWORK_ERROR and caught.value.retryable


@pytest.mark.slow
def test_postgresql_memory_stays_flat_over_200_000_rows(postgresql: PostgresqlServer) -> None:
    with postgresql.connect() as connection:
        connection.execute(
            "CREATE TABLE many AS SELECT n AS id, lpad(n::text, 200) AS text FROM generate_series(1, 200000) n"
        )
    login = {"PGUSER": "owner", "PGPASSWORD": PASSWORD}
    assert _grown_kilobytes(postgresql.address, **login) < 8_000
