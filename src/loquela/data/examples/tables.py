"""Rows of tables: csv and tsv with the standard library, parquet and arrow with pyarrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue, TypeAdapter, ValidationError

from loquela.core.digests import digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.extras import require
from loquela.data.examples.faults import Place, RowFault
from loquela.data.examples.rows import Row

ROWS_AT_ONCE = 1024
LONGEST_FIELD = 64 << 20
_ROWS: TypeAdapter[list[dict[str, JsonValue]]] = TypeAdapter(list[dict[str, JsonValue]])


class _Batch(Protocol):
    def to_pylist(self) -> list[dict[str, object]]: ...


class _ParquetFile(Protocol):
    def iter_batches(self, batch_size: int) -> Iterator[_Batch]: ...


class _ArrowFile(Protocol):
    @property
    def num_record_batches(self) -> int: ...
    def get_batch(self, i: int) -> _Batch: ...


def delimited_rows(source: str, text: str, delimiter: str) -> Iterator[Row]:
    """Rows of a table in text, named by its first line; a row with more or fewer values than it is a fault."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        _check_header(source, header)
        before, number = reader.line_num, 0
        for values in reader:
            if values:
                number += 1
                yield _delimited_row(Place(source, number, before + 1), header, values)
            before = reader.line_num
    except csv.Error as error:
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"{source} is not a whole table near line {reader.line_num}: {error}",
            "mend the quotes there, or save the table as jsonl or parquet",
            details={"source": source, "line": reader.line_num},
        ) from error


def _delimited_row(place: Place, header: list[str], values: list[str]) -> Row:
    fields: dict[str, JsonValue] = dict(zip(header, values, strict=False))
    fault = None
    if len(values) != len(header):
        fault = RowFault("a row with more or fewer values than the header", f"{len(values)} for {len(header)}")
    return Row(place, fields, digest_json(fields), fault)


def _check_header(source: str, header: list[str]) -> None:
    twice = [name for name in header if header.count(name) > 1]
    if not header or twice:
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"{source} has no header of column names" + (f": {twice[0]!r} stands there twice" if twice else ""),
            "let the first line name every column once",
            details={"source": source},
        )


def parquet_rows(source: str, path: Path) -> Iterator[Row]:
    """Rows of a parquet file, a batch in memory at a time."""
    module = require("pyarrow.parquet", extra="data", purpose="reading parquet")
    yield from _batch_rows(source, _parquet_batches(module.ParquetFile, path))


def arrow_rows(source: str, path: Path) -> Iterator[Row]:
    """Rows of an Arrow file, a batch in memory at a time."""
    module = require("pyarrow.ipc", extra="data", purpose="reading arrow")
    yield from _batch_rows(source, _arrow_batches(module.open_file, path))


class _OpensParquet(Protocol):
    def __call__(self, source: str) -> _ParquetFile: ...


class _OpensArrow(Protocol):
    def __call__(self, source: bytes) -> _ArrowFile: ...


def _parquet_batches(opened: _OpensParquet, path: Path) -> Iterator[_Batch]:
    yield from opened(str(path)).iter_batches(batch_size=ROWS_AT_ONCE)


def _arrow_batches(opened: _OpensArrow, path: Path) -> Iterator[_Batch]:
    found = opened(path.read_bytes())
    for index in range(found.num_record_batches):
        yield found.get_batch(index)


def _batch_rows(source: str, batches: Iterator[_Batch]) -> Iterator[Row]:
    number = 0
    try:
        for batch in batches:
            for fields in _ROWS.validate_python(batch.to_pylist()):
                number += 1
                yield Row(Place(source, number), fields, digest_json(fields))
    except ValidationError as error:
        raise _unreadable(source, number, "a column holds neither text, numbers nor lists of them") from error
    except (OSError, ValueError) as error:  # pyarrow's errors are kinds of these two
        raise _unreadable(source, number, str(error)) from error


def _unreadable(source: str, row: int, why: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"{source} cannot be read as a table behind row {row}: {why}",
        "write the file anew, or convert it to jsonl",
        details={"source": source, "row": row},
    )
