"""The rows of a statement: text, labels and split key of each, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.near_names import nearest
from loquela.data.database.connection import Stopwatch
from loquela.data.database.statement import Statement
from loquela.recipe.source_entry import SourceEntry

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

# Looked for, in this order, when the entry names no column and there are several.
USUAL_TEXT_COLUMNS = ("text", "content", "body", "document")


@dataclass(frozen=True)
class TextRow:
    """Row `number` from 1; `value` is what the text column holds: text, None, or something else."""

    number: int
    value: object
    labels: dict[str, str]
    split_key: str | None


@dataclass(frozen=True)
class _Places:
    """Where in a row the wanted columns stand."""

    text: int
    labels: dict[str, int]
    split_key: int | None


def columns_of(connection: Connection, statement: Statement) -> list[str]:
    """The names of the columns, without running the query for rows."""
    from sqlalchemy import text

    bounded = text(f"SELECT * FROM (\n{statement.sql}\n) AS loquela_source LIMIT 0")  # noqa: S608 - checked, no values
    return list(connection.execute(bounded, dict(statement.parameters)).keys())


def require_columns(entry: SourceEntry, columns: Sequence[str]) -> _Places:
    """Where the entry's columns are; RecipeError(INVALID_SOURCE) naming the nearest for one that is not there."""
    name = entry.text or (columns[0] if len(columns) == 1 else _usual(entry, columns))
    return _Places(
        text=_place(entry, columns, name),
        labels={label: _place(entry, columns, label) for label in entry.labels},
        split_key=None if entry.split_by is None else _place(entry, columns, entry.split_by),
    )


def text_rows(
    connection: Connection, statement: Statement, entry: SourceEntry, watch: Stopwatch, batch_rows: int
) -> Iterator[TextRow]:
    """All rows in the statement's order, through a cursor that stays on the server; raises sqlalchemy's DBAPIError."""
    from sqlalchemy import text

    watch.restart()
    streamed = connection.execution_options(stream_results=True, max_row_buffer=batch_rows)
    with closing(streamed.execute(text(statement.sql), dict(statement.parameters))) as result:
        places = require_columns(entry, list(result.keys()))
        number = 0
        for batch in result.partitions(batch_rows):
            for row in batch:
                number += 1
                yield _text_row(number, tuple(row), places)
            watch.restart()


def _text_row(number: int, row: tuple[object, ...], places: _Places) -> TextRow:
    labels = {label: str(row[place]) for label, place in places.labels.items() if row[place] is not None}
    key = None if places.split_key is None else row[places.split_key]
    return TextRow(number, row[places.text], labels, None if key is None else str(key))


def _usual(entry: SourceEntry, columns: Sequence[str]) -> str:
    found = next((name for name in USUAL_TEXT_COLUMNS if name in columns), None)
    if found is None:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"the query of {entry.key} gives {len(columns)} columns ({', '.join(columns)}), and none is called "
            f"{' or '.join(USUAL_TEXT_COLUMNS)}",
            "name the column that holds the text: text: …",
        )
    return found


def _place(entry: SourceEntry, columns: Sequence[str], name: str) -> int:
    if name not in columns:
        near = nearest(name, columns)
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"the query of {entry.key} gives no column {name!r}"
            + (f"; did you mean {near!r}?" if near else f"; it gives {', '.join(columns)}"),
            "correct the name, or select the column",
            details={"columns": [*columns]},
        )
    return list(columns).index(name)
