"""Request, result and error of the DataStreamReader, with the fields that its specification gives."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from loquela.core.model import BoundaryModel

StreamFormat = Literal["txt", "json", "jsonl", "parquet", "csv", "tsv", "arrow"]


class DataStreamReaderRequest(BoundaryModel):
    """What to read: the objects behind `connection_id`, in chunks of about `chunk_size_mb` (10⁶ bytes)."""

    connection_id: UUID
    chunk_size_mb: int = Field(ge=1, le=100)
    format: StreamFormat


class StreamChunk(BoundaryModel):
    """Whole records. `checksum` is the SHA-256 of `data`; in JSON `data` is base64.

    Of txt, jsonl, csv and tsv `data` is what stands in the object, so that all chunks joined are the object; of json it
    is an array of whole elements; of parquet and arrow an Arrow stream of whole rows.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    chunk_id: UUID
    data: bytes
    size_bytes: int
    checksum: str


class DataStreamReaderResult(BoundaryModel):
    """All chunks of a stream."""

    stream_id: UUID
    chunks: list[StreamChunk]
    total_chunks: int


class DataStreamReaderError(BoundaryModel):
    """`recoverable`: reading can go on from the position of the chunk before."""

    error_code: Literal["READ_FAILED", "CORRUPT_DATA", "TIMEOUT"]
    chunk_id: UUID
    recoverable: bool


class StreamPosition(BoundaryModel):
    """Where a stream stands between two records; written out and given back, reading goes on there.

    `record` records of `object`, up to `byte_offset`, lie before it (rows of parquet and arrow have no offset: 0).
    `digest` is a chain over the checksums of the stream's chunks so far: h ← SHA-256(h + checksum). The last record's
    own place and digest prove on return that the object is still the one that was read.
    """

    object: str
    byte_offset: int = Field(0, ge=0)
    record: int = Field(0, ge=0)
    chunks: int = Field(0, ge=0)
    digest: str = ""
    last_start: int = 0
    last_sha256: str = ""
