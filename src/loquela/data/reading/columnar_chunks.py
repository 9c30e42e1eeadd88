"""One parquet or Arrow file → chunks that are Arrow streams of whole rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from loquela.data.reading.arrow_adapter import (
    ArrowBatch,
    open_arrow_file,
    open_arrow_stream,
    open_parquet,
    stream_bytes,
)
from loquela.data.reading.chunking import ChunkOfRecords, Cursor
from loquela.data.reading.columnar import BATCH_ROWS, damaged
from loquela.data.reading.contracts import StreamPosition
from loquela.data.reading.formats import ARROW_MAGIC
from loquela.data.reading.seekable import open_seekable
from loquela.data.source_object import SourceObject


def columnar_chunks(
    source: SourceObject, format: str, chunk_bytes: int, start: StreamPosition
) -> Iterator[ChunkOfRecords]:
    """The chunks of `source` from `start` on, at least `chunk_bytes` each, but for the last.

    Raises DataError: READ_FAILED, CORRUPT_DATA.
    """
    cursor = Cursor(start)
    held: list[ArrowBatch] = []
    size = 0
    try:
        with open_seekable(source) as stream:
            for batch in _batches(stream, format, start.record):
                held.append(batch)
                size += batch.nbytes
                if size >= chunk_bytes:
                    yield _cut(cursor, held)
                    held, size = [], 0
    except (OSError, ValueError) as error:
        raise damaged(source.name, format, error) from error
    if held:
        yield _cut(cursor, held)


def _cut(cursor: Cursor, batches: list[ArrowBatch]) -> ChunkOfRecords:
    return cursor.cut(stream_bytes(batches), sum(batch.num_rows for batch in batches), 0, 0, "")


def _batches(stream: BinaryIO, format: str, rows_done: int) -> Iterator[ArrowBatch]:
    """The batches behind the first `rows_done` rows, which end with a batch."""
    for batch in _parquet(stream, rows_done) if format == "parquet" else _arrow(stream, rows_done):
        if batch.num_rows:
            yield batch


def _parquet(stream: BinaryIO, rows_done: int) -> Iterator[ArrowBatch]:
    file = open_parquet(stream)
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if rows_done >= rows:
            rows_done -= rows
            continue
        columns = file.schema_arrow.names
        for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
            if rows_done <= 0:
                yield batch
            rows_done -= batch.num_rows
        rows_done = 0


def _arrow(stream: BinaryIO, rows_done: int) -> Iterator[ArrowBatch]:
    magic = stream.read(len(ARROW_MAGIC))
    stream.seek(0)
    if magic == ARROW_MAGIC:
        file = open_arrow_file(stream)
        batches: Iterator[ArrowBatch] = (file.get_batch(number) for number in range(file.num_record_batches))
    else:
        batches = iter(open_arrow_stream(stream))
    for batch in batches:
        if rows_done <= 0:
            yield batch
        rows_done -= batch.num_rows
