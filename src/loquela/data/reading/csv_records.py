"""Records of csv and tsv: rows, which may go over several lines; the first one names the columns."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.fallback import SAMPLE_BYTES
from loquela.data.reading.bad_record import TOO_LONG, BadRecord
from loquela.data.reading.raw_records import RawRecord, too_long
from loquela.data.reading.record import Record
from loquela.data.reading.text_field import text_field
from loquela.data.reading.text_records import TextReader

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 100
# A delimiter is one when this share of the first rows has as many fields as the header, and more than one.
LEAST_ALIKE = 0.5
# All lines of a row are held until its last quote is closed.
LONGEST_ROW = 16 << 20


def csv_records(reader: TextReader, delimiter: str | None) -> Iterator[Record]:
    """One record a row behind the header; a row with another number of fields is set aside.

    Raises DataError(INVALID_SOURCE) when the text's column is not in the header.
    """
    # The limit is the program's; rows are held to the recipe's by their bytes.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_ROW))
    if delimiter is None:
        delimiter = delimiter_of(reader.head[:SAMPLE_BYTES].decode(reader.decoder.encoding, "replace"))
    reader.report.note(f"delimiter {delimiter!r}")
    limit = min(reader.options.max_record_bytes, LONGEST_ROW)
    rows = CsvRows(reader.lines(), reader.decoder.text, delimiter, limit)
    names: list[str] | None = None
    column: str | None = None
    for raw, cells, bad in rows:
        if bad is None and not cells:
            reader.book.structure(raw.end - raw.start, "blank_lines")
        elif names is None:
            names = _header(reader, raw, cells, bad)
            column = text_field(
                reader.options.text, names, reader.source.name, "column", required=reader.options.text_required
            )
            reader.book.structure(raw.end - raw.start, "header")
            reader.report.note(f"header: {', '.join(names)}"[:500])
            reader.report.note(f"text from the column {column!r}")
        else:
            record = _record(reader, raw, cells, bad, names, column)
            if record is not None:
                yield record


def _record(
    reader: TextReader, raw: RawRecord, cells: list[str], bad: BadRecord | None, names: list[str], column: str | None
) -> Record | None:
    try:
        if bad is not None:
            raise bad
        if len(cells) != len(names):
            raise BadRecord(f"it has {len(cells)} fields, the header has {len(names)}")
        values = dict(zip(names, cells, strict=True))
        chosen = reader.options.fields
        fields = {
            name: value for name, value in values.items() if name != column and (chosen is None or name in chosen)
        }
        return reader.kept(raw, values[column] if column is not None else None, fields)
    except BadRecord as fault:
        reader.book.set_aside(raw, fault)
        return None


def _header(reader: TextReader, raw: RawRecord, cells: list[str], bad: BadRecord | None) -> list[str]:
    twice = sorted({name for name in cells if cells.count(name) > 1})
    if bad is not None or twice:
        why = str(bad) if bad is not None else f"the column {twice[0]!r} stands there twice"
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"the header of {reader.source.name} (line {raw.line}) cannot be used: {why}",
            "give every column a name of its own in the first line",
            details={"source": reader.source.name, "line": raw.line},
        )
    return cells


def delimiter_of(head: str) -> str:
    """The delimiter by which the first rows have most fields alike; a comma where none divides them."""
    lines = head.splitlines(keepends=True)
    whole = lines[:-1] if len(lines) > 1 else lines  # the last one may be cut
    best, most = ",", (0.0, 1)
    for delimiter in DELIMITERS:
        counts = [
            len(row) for _, row in zip(range(SAMPLE_ROWS), csv.reader(whole, delimiter=delimiter), strict=False) if row
        ]
        if not counts or counts[0] < 2:
            continue
        alike = sum(count == counts[0] for count in counts) / len(counts)
        if alike >= LEAST_ALIKE and (alike, counts[0]) > most:
            best, most = delimiter, (alike, counts[0])
    return best


class _TooLong(Exception):
    """A row has grown over the limit."""


class CsvRows:
    """Rows with their bytes. A quote that never closes costs its own line: what it swallowed is read again."""

    def __init__(
        self, lines: Iterator[RawRecord], text: Callable[[RawRecord], str], delimiter: str, limit: int
    ) -> None:
        self._lines = lines
        self._text = text
        self._delimiter = delimiter
        self._limit = limit
        self._again: deque[RawRecord] = deque()
        self._row: list[RawRecord] = []
        self._bad: BadRecord | None = None
        self._ended = False

    def __iter__(self) -> Iterator[tuple[RawRecord, list[str], BadRecord | None]]:
        rows = csv.reader(self._fed(), delimiter=self._delimiter, strict=True)
        while True:
            self._row, self._bad = [], None
            try:
                cells = next(rows)
            except StopIteration:
                return
            except _TooLong:
                yield self._first_line(TOO_LONG, f"a quote is not closed within {self._limit} bytes")
            except csv.Error as error:
                if self._ended:
                    yield self._first_line(None, "a quote is not closed")
                else:
                    yield self._whole(), [], self._bad or BadRecord(f"it is no csv: {error}")
            else:
                yield self._whole(), cells, self._bad
                continue
            # A generator that has ended or raised gives no more.
            rows = csv.reader(self._fed(), delimiter=self._delimiter, strict=True)

    def _fed(self) -> Iterator[str]:
        self._ended = False
        size = 0
        for raw in self._next_lines():
            if not self._row:
                size = 0
            self._row.append(raw)
            size += raw.end - raw.start
            if raw.problem is not None or size > self._limit:
                raise _TooLong
            yield self._decoded(raw)
        self._ended = True

    def _next_lines(self) -> Iterator[RawRecord]:
        while True:
            if self._again:
                yield self._again.popleft()
            elif (raw := next(self._lines, None)) is not None:
                yield raw
            else:
                return

    def _decoded(self, raw: RawRecord) -> str:
        try:
            return self._text(raw)
        except BadRecord as bad:
            # The row has to be found to its end all the same.
            self._bad = self._bad or bad
            return raw.data.decode("utf-8", "replace")

    def _first_line(self, kind: str | None, reason: str) -> tuple[RawRecord, list[str], BadRecord]:
        """Only the first line of the row is bad; the others are read again."""
        first, *others = self._row
        self._again.extendleft(reversed(others))
        if first.problem is not None:
            return first, [], BadRecord(too_long(self._limit), TOO_LONG)
        return first, [], BadRecord(reason, kind) if kind else BadRecord(reason)

    def _whole(self) -> RawRecord:
        first, last = self._row[0], self._row[-1]
        if first is last:
            return first
        data = b"".join(raw.data for raw in self._row)
        return RawRecord(first.start, last.end, first.line, data)
