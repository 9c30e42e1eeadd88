"""Records of parquet and Arrow files: rows of the text's column, a few hundred at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.encoding.mojibake import MojibakeRepair
from loquela.data.reading.arrow_adapter import ArrowBatch, ArrowSchema, open_arrow_file, open_arrow_stream, open_parquet
from loquela.data.reading.bad_record import WITHOUT_TEXT, BadRecord
from loquela.data.reading.formats import ARROW_MAGIC
from loquela.data.reading.object_bytes import read_failure
from loquela.data.reading.raw_records import RawRecord
from loquela.data.reading.record import ReadOptions, Record
from loquela.data.reading.record_book import RecordBook
from loquela.data.reading.seekable import open_seekable
from loquela.data.reading.text_field import text_field
from loquela.data.source_object import SourceObject

BATCH_ROWS = 256
TEXT_TYPES = ("string", "large_string", "string_view", "dictionary<values=string")


def columnar_records(source: SourceObject, format: str, options: ReadOptions, book: RecordBook) -> Iterator[Record]:
    """One record a row; see `read_records`. A group of rows that is damaged costs what cannot be read of it."""
    rows = _Rows(source, options, book)
    try:
        with open_seekable(source) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            book.enter(size)
            book.structure(size)
            yield from rows.of_parquet(stream) if format == "parquet" else rows.of_arrow(stream)
    except (OSError, ValueError) as error:
        raise damaged(source.name, format, error) from error


def damaged(name: str, format: str, error: OSError | ValueError) -> DataError | ResourceError:
    """The typed error for what pyarrow raises: its ArrowInvalid is a ValueError, and some damage an OSError."""
    if isinstance(error, OSError) and error.errno is not None:
        return read_failure(name, error)
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{name} is no whole {format} file: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}",
        "fetch or write the file again",
        details={"source": name},
    )


class _Rows:
    def __init__(self, source: SourceObject, options: ReadOptions, book: RecordBook) -> None:
        self._name = source.name
        self._options = options
        self._book = book
        self._column: str | None = None
        self._mojibake = MojibakeRepair()

    def of_parquet(self, stream: BinaryIO) -> Iterator[Record]:
        file = open_parquet(stream)
        columns = self._columns(file.schema_arrow)
        for group in range(file.metadata.num_row_groups):
            done, wanted = 0, file.metadata.row_group(group).num_rows
            batches = file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False)
            try:
                for batch in batches:
                    yield from self._records(batch)
                    done += batch.num_rows
            except (OSError, ValueError) as error:
                self._lost(wanted - done, f"row group {group} is damaged: {str(error)[:120]}")

    def of_arrow(self, stream: BinaryIO) -> Iterator[Record]:
        magic = stream.read(len(ARROW_MAGIC))
        stream.seek(0)
        if magic != ARROW_MAGIC:
            reader = open_arrow_stream(stream)
            columns = self._columns(reader.schema)
            for batch in reader:
                yield from self._records(batch.select(columns))
            return
        file = open_arrow_file(stream)
        columns = self._columns(file.schema)
        for number in range(file.num_record_batches):
            yield from self._records(file.get_batch(number).select(columns))

    def _columns(self, schema: ArrowSchema) -> Sequence[str]:
        """The columns to read; chooses the text's."""
        self._column = text_field(
            self._options.text, schema.names, self._name, "column", required=self._options.text_required
        )
        if self._column is not None:
            kind = str(schema.field(self._column).type)
            if not kind.startswith(TEXT_TYPES):
                raise DataError(
                    ErrorCode.INVALID_SOURCE,
                    f"the column {self._column!r} of {self._name} holds {kind}, no text",
                    "set text to a column of strings, in the source's entry",
                    details={"source": self._name, "column": self._column, "type": kind},
                )
            self._book.report.note(f"text from the column {self._column!r}")
        chosen = schema.names if self._options.fields is None else self._options.fields
        return [name for name in schema.names if name == self._column or name in chosen]

    def _records(self, batch: ArrowBatch) -> Iterator[Record]:
        for row in batch.to_pylist():
            values = {name: json_value(value) for name, value in row.items()}
            line = json.dumps(values, sort_keys=True, ensure_ascii=False).encode("utf-8")
            raw = RawRecord(-1, -1, 0, line)
            text = values.pop(self._column) if self._column is not None else None
            if text is None and self._options.text_required:
                self._book.set_aside(raw, BadRecord("it has no text", WITHOUT_TEXT))
            else:
                yield self._record(raw, text if isinstance(text, str) else None, values)

    def _record(self, raw: RawRecord, text: str | None, values: dict[str, JsonValue]) -> Record:
        mended = text
        if text is not None and self._options.encoding.repair_mojibake and not text.isascii():
            mended, lines = self._mojibake.mend_text(text)
            if lines:
                self._book.report.count_repaired("mojibake", lines)
        return self._book.keep(raw, text, mended, values)

    def _lost(self, rows: int, reason: str) -> None:
        for _ in range(rows):
            self._book.set_aside(RawRecord(-1, -1, 0, b""), BadRecord(reason))


def json_value(value: object) -> JsonValue:
    """`value` of a table as JSON: dates in ISO form, bytes in hexadecimal, NaN as null, what else there is as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    return value.hex() if isinstance(value, bytes) else str(value)
