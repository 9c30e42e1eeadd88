"""The rows of a statement: text, labels and split key of each, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loquela.data.content.columns import EntryColumns, entry_columns
from loquela.data.database.connection import Stopwatch
from loquela.data.database.statement import Statement
from loquela.recipe.source_entry import SourceEntry

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@dataclass(frozen=True)
class TextRow:
    """Row `number` from 1; `value` is what the text column holds: text, None, or something else."""

    number: int
    value: object
    labels: dict[str, str]
    split_key: str | None


def columns_of(connection: Connection, statement: Statement) -> list[str]:
    """The names of the columns, without running the query for rows."""
    from sqlalchemy import text

    bounded = text(f"SELECT * FROM (\n{statement.sql}\n) AS loquela_source LIMIT 0")  # noqa: S608 - checked, no values
    return list(connection.execute(bounded, dict(statement.parameters)).keys())


def require_columns(entry: SourceEntry, columns: Sequence[str]) -> EntryColumns:
    """The columns that the entry means; DataError(INVALID_SOURCE) naming the nearest for one that is not there."""
    return entry_columns(entry, columns, f"the query of {entry.key}")


def text_rows(
    connection: Connection, statement: Statement, entry: SourceEntry, watch: Stopwatch, batch_rows: int
) -> Iterator[TextRow]:
    """All rows in the statement's order, through a cursor that stays on the server; raises sqlalchemy's DBAPIError."""
    from sqlalchemy import text

    watch.restart()
    streamed = connection.execution_options(stream_results=True, max_row_buffer=batch_rows)
    with closing(streamed.execute(text(statement.sql), dict(statement.parameters))) as result:
        names = list(result.keys())
        columns = require_columns(entry, names)
        number = 0
        for batch in result.partitions(batch_rows):
            for row in batch:
                number += 1
                yield _text_row(number, dict(zip(names, tuple(row), strict=True)), columns)
            watch.restart()


def _text_row(number: int, row: dict[str, object], columns: EntryColumns) -> TextRow:
    labels = {name: str(row[name]) for name in columns.labels if row[name] is not None}
    key = None if columns.split_by is None else row[columns.split_by]
    return TextRow(number, row[columns.text], labels, None if key is None else str(key))
