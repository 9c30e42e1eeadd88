"""Rows of a database: `sqlite:///books.db`, `postgresql://host/books`, with a query in the entry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.database.connection import NotUtf8, Stopwatch, reading
from loquela.data.database.place import FilePlace, ServerPlace, database_place
from loquela.data.database.rows import TextRow, columns_of, require_columns, text_rows
from loquela.data.database.statement import Statement, checked_statement
from loquela.data.encoding.decode import decode
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.source_options.database import DatabaseOptions

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


class DatabaseSource:
    """One text a row, in the order of the query."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The database answers, refuses to write, and the query gives the columns that the entry names."""
        place = _place(request)
        statement = _statement(request)
        with _reading(request, place) as (connection, _):
            require_columns(request.entry, columns_of(connection, statement))
            size, rows = _estimate(connection, statement, place)
        about = "" if size is None else f", about {size:,} bytes"
        return SourceCheck(
            address=request.address,
            size_bytes=size,
            texts=rows,
            message=f"{request.address} answers and is read-only{about}",
            formats=["rows"],
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """SHA-256 over the rows in the query's order: each row's text, labels and split key as one JSON line.

        `bytes` are UTF-8 bytes of the texts. A column that the entry does not use does not count.
        """
        statement, digest, size, count = _statement(request), hashlib.sha256(), 0, 0
        with _reading(request, _place(request)) as (connection, watch):
            for row in text_rows(connection, statement, request.entry, watch, _options(request).batch_rows):
                text = row.value if isinstance(row.value, str) else {type(row.value).__name__: repr(row.value)}
                line = json.dumps([text, row.labels, row.split_key], ensure_ascii=False, sort_keys=True)
                digest.update(line.encode("utf-8") + b"\n")
                size += utf8_size(row.value) if isinstance(row.value, str) else 0
                count += 1
        return SourceFingerprint(texts=count, bytes=size, sha256=digest.hexdigest(), language=request.entry.language)

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The rows; those without text are counted under "read" by reason."""
        statement = _statement(request)
        with _reading(request, _place(request)) as (connection, watch):
            for row in text_rows(connection, statement, request.entry, watch, _options(request).batch_rows):
                raw = _raw(row, tally)
                if raw is not None:
                    yield SourceText(
                        name=request.entry.key,
                        pieces=_pieces(raw, f"row {row.number} of {request.entry.key}", tally),
                        language=request.entry.language,
                        split_key=row.split_key,
                        object_name=request.entry.key,
                        record=row.number,
                        raw_sha256=hashlib.sha256(raw).hexdigest(),
                        labels=row.labels,
                    )


def _raw(row: TextRow, tally: Tally) -> bytes | None:
    """The UTF-8 bytes of a row's text; None, counted, where there is none."""
    if isinstance(row.value, str):
        raw = row.value.encode("utf-8")
        tally.enter("read", len(raw), 1)
        return raw
    lost, reason = b"", "text_is_null"
    if isinstance(row.value, NotUtf8):
        lost, reason = row.value.raw, "text_is_not_utf-8"
    elif row.value is not None:
        lost, reason = row.value if isinstance(row.value, bytes) else str(row.value).encode(), "text_is_not_text"
    tally.enter("read", len(lost), 1)
    tally.change("read", reason, -len(lost), -1)
    return None


def _pieces(raw: bytes, name: str, tally: Tally) -> Iterator[str]:
    tally.leave("read", len(raw), 1)
    tally.enter("decode", 0, 1)
    yield from decode([raw], name, tally)


def _options(request: SourceRequest) -> DatabaseOptions:
    options = request.entry.database
    if options is None:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{request.address} is a database without a query",
            "write the source as an entry with address, text and database: {query: SELECT … ORDER BY …}",
            details={"source": request.address},
        )
    return options


def _statement(request: SourceRequest) -> Statement:
    options = _options(request)
    return checked_statement(options.query, options.parameters)


def _place(request: SourceRequest) -> FilePlace | ServerPlace:
    return database_place(request.address, allow_private=request.section.allow_private_addresses)


def _reading(
    request: SourceRequest, place: FilePlace | ServerPlace
) -> AbstractContextManager[tuple[Connection, Stopwatch]]:
    return reading(
        place,
        request.address,
        request.credential(place.host) if isinstance(place, ServerPlace) else None,
        connect_seconds=request.section.timeout_seconds,
        batch_seconds=_options(request).timeout_seconds,
        encrypted=not request.section.allow_private_addresses,
    )


def _estimate(
    connection: Connection, statement: Statement, place: FilePlace | ServerPlace
) -> tuple[int | None, int | None]:
    """Bytes and rows: the size of a file, or what PostgreSQL's planner expects; None where it does not say."""
    if isinstance(place, FilePlace):
        return place.path.stat().st_size, None
    from sqlalchemy import text

    found = connection.execute(text(f"EXPLAIN (FORMAT JSON) {statement.sql}"), dict(statement.parameters)).scalar()
    plan = found[0].get("Plan", {}) if isinstance(found, list) and found and isinstance(found[0], dict) else {}
    rows, width = plan.get("Plan Rows"), plan.get("Plan Width")
    return (rows * width, rows) if isinstance(rows, int) and isinstance(width, int) else (None, None)
