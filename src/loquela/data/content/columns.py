"""Which columns of a table an entry means: text, labels, split key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loquela.core.errors import DataError, ErrorCode
from loquela.core.near_names import nearest
from loquela.data.reading.text_field import text_field
from loquela.recipe.source_entry import SourceEntry


@dataclass(frozen=True)
class EntryColumns:
    """Names of columns that are there."""

    text: str
    labels: tuple[str, ...]
    split_by: str | None

    @property
    def all(self) -> list[str]:
        """Each once, in a fixed order."""
        split_by = [] if self.split_by is None else [self.split_by]
        return list(dict.fromkeys([self.text, *self.labels, *split_by]))


def entry_columns(entry: SourceEntry, columns: Sequence[str], source: str) -> EntryColumns:
    """The entry's columns among those of `source`; a single column holds the text if none is named.

    Raises DataError(INVALID_SOURCE) naming what is there, and what is near.
    """
    alone = columns[0] if len(columns) == 1 else None
    text = text_field(entry.text or alone, columns, source, "column", required=True) or ""
    for name in [*entry.labels, *([entry.split_by] if entry.split_by else [])]:
        if name not in columns:
            near = nearest(name, columns)
            raise DataError(
                ErrorCode.INVALID_SOURCE,
                f"{source} has no column {name!r}"
                + (f"; did you mean {near!r}?" if near else f"; there are: {', '.join(columns)}"),
                "correct labels and split_by in the source's entry",
                details={"source": source, "names": [*columns]},
            )
    return EntryColumns(text, tuple(entry.labels), entry.split_by)
