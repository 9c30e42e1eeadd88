"""Thin typed adapter around pyarrow: tables in parquet and Arrow files, batch by batch."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from loquela.core.extras import require

PURPOSE = "reading parquet and arrow files"


class ArrowType(Protocol):
    """Type of a column."""


class ArrowField(Protocol):
    """A column of a schema."""

    name: str
    type: ArrowType


class ArrowSchema(Protocol):
    """The columns."""

    names: list[str]

    def field(self, name: str) -> ArrowField:
        """The column called `name`."""


class ArrowBatch(Protocol):
    """A few rows."""

    num_rows: int
    nbytes: int
    schema: ArrowSchema

    def to_pylist(self) -> list[dict[str, object]]:
        """One dictionary a row."""

    def select(self, columns: Sequence[str]) -> ArrowBatch:
        """The batch with these columns only."""


class RowGroup(Protocol):
    """What is known of a group of rows before it is read."""

    num_rows: int


class ParquetMetadata(Protocol):
    """The footer of a parquet file."""

    num_row_groups: int

    def row_group(self, number: int) -> RowGroup:
        """Group `number` from 0."""


class ParquetFile(Protocol):
    """An open parquet file."""

    schema_arrow: ArrowSchema
    metadata: ParquetMetadata

    def iter_batches(
        self, *, batch_size: int, row_groups: list[int], columns: Sequence[str], use_threads: bool
    ) -> Iterator[ArrowBatch]:
        """Stream the rows of `row_groups`."""


class ArrowReader(Protocol):
    """An open Arrow file or stream."""

    schema: ArrowSchema


class ArrowFileReader(ArrowReader, Protocol):
    """An Arrow file: its batches can be read in any order."""

    num_record_batches: int

    def get_batch(self, number: int) -> ArrowBatch:
        """Batch `number` from 0."""


class ArrowStreamReader(ArrowReader, Protocol):
    """An Arrow stream: its batches come one after the other."""

    def __iter__(self) -> Iterator[ArrowBatch]: ...


class _StreamWriter(Protocol):
    def write_batch(self, batch: ArrowBatch) -> None: ...

    def close(self) -> None: ...


class _Ipc(Protocol):
    def open_file(self, source: BinaryIO) -> ArrowFileReader: ...

    def open_stream(self, source: BinaryIO) -> ArrowStreamReader: ...

    def new_stream(self, sink: BinaryIO, schema: ArrowSchema) -> _StreamWriter: ...


class _Parquet(Protocol):
    def ParquetFile(self, source: BinaryIO, *, pre_buffer: bool) -> ParquetFile: ...


def open_parquet(stream: BinaryIO) -> ParquetFile:
    """The parquet file in `stream`, which must be seekable."""
    module: _Parquet = require("pyarrow.parquet", extra="data", purpose=PURPOSE)
    return module.ParquetFile(stream, pre_buffer=False)


def open_arrow_file(stream: BinaryIO) -> ArrowFileReader:
    """The Arrow file in `stream`, which must be seekable."""
    module: _Ipc = require("pyarrow.ipc", extra="data", purpose=PURPOSE)
    return module.open_file(stream)


def open_arrow_stream(stream: BinaryIO) -> ArrowStreamReader:
    """The Arrow stream in `stream`."""
    module: _Ipc = require("pyarrow.ipc", extra="data", purpose=PURPOSE)
    return module.open_stream(stream)


def stream_bytes(batches: Sequence[ArrowBatch]) -> bytes:
    """`batches`, of one schema, as an Arrow stream."""
    module: _Ipc = require("pyarrow.ipc", extra="data", purpose=PURPOSE)
    sink = io.BytesIO()
    writer = module.new_stream(sink, batches[0].schema)
    for batch in batches:
        writer.write_batch(batch)
    writer.close()
    return sink.getvalue()
