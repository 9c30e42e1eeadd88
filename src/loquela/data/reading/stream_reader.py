"""DataStreamReader: objects → chunks of whole records, read ahead by a thread that waits when nobody takes them."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_OID, UUID, uuid5

from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.data.reading.chunking import ChunkOfRecords, text_chunks
from loquela.data.reading.columnar_chunks import columnar_chunks
from loquela.data.reading.contracts import (
    DataStreamReaderError,
    DataStreamReaderRequest,
    DataStreamReaderResult,
    StreamChunk,
    StreamPosition,
)
from loquela.data.source_object import SourceObject
from loquela.monitoring.events import Bus, trace

COMPONENT = "DataStreamReader"
MEGABYTE = 1_000_000
# Chunks that wait to be taken; with the one in the making and the one in use, four are in memory.
CHUNKS_AHEAD = 2
# How often a thread that waits looks whether it should stop.
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class ReadChunk:
    """A chunk, and the position from which reading goes on behind it."""

    chunk: StreamChunk
    position: StreamPosition


class DataStreamReader:
    """Reads what lies behind connections.

    `connections` tells the objects of each connection, in order. A chunk that takes longer than `timeout_seconds` is
    given up.
    """

    def __init__(
        self,
        connections: Mapping[UUID, Sequence[SourceObject]],
        bus: Bus,
        *,
        timeout_seconds: float = 60.0,
        max_record_bytes: int = 64 << 20,
    ) -> None:
        self.connections = connections
        self.bus = bus
        self.timeout_seconds = timeout_seconds
        self.max_record_bytes = max_record_bytes

    def read(self, request: DataStreamReaderRequest) -> DataStreamReaderResult:
        """All chunks at once, which takes as much memory as they have bytes; errors as of `stream`."""
        chunks = [found.chunk for found in self.stream(request)]
        return DataStreamReaderResult(stream_id=_stream_id(request), chunks=chunks, total_chunks=len(chunks))

    def stream(self, request: DataStreamReaderRequest, start: StreamPosition | None = None) -> Iterator[ReadChunk]:
        """The chunks in order, from `start` on; memory does not grow however slowly they are taken.

        The thread behind it ends when the iterator does, or is closed. Raises DataError (INVALID_SOURCE, READ_FAILED,
        CORRUPT_DATA) and ResourceError(TIMEOUT); the details of the last three are a `DataStreamReaderError`.
        """
        objects = self._objects(request.connection_id)
        first = _object_of(start, objects) if start else 0
        stream_id = _stream_id(request)
        ahead = _ReadAhead(lambda: self._chunks(objects[first:], request, start), self.timeout_seconds)
        number, size, position = (start.chunks if start else 0), 0, start
        try:
            while True:
                chunk_id = uuid5(stream_id, str(number))
                trace(self.bus, COMPONENT, "chunk_read_start", stream_id=str(stream_id), chunk_id=str(chunk_id))
                found = self._next(ahead, chunk_id)
                if found is None:
                    break
                chunk = _chunk(chunk_id, found.data)
                number, size, position = number + 1, size + chunk.size_bytes, found.position
                trace(
                    self.bus,
                    COMPONENT,
                    "chunk_read_complete",
                    chunk_id=str(chunk_id),
                    size_bytes=chunk.size_bytes,
                    checksum=chunk.checksum,
                    records=position.record,
                )
                yield ReadChunk(chunk, position)
            trace(
                self.bus,
                COMPONENT,
                "stream_complete",
                stream_id=str(stream_id),
                chunks=number,
                size_bytes=size,
                digest=position.digest if position else "",
            )
        finally:
            ahead.stop()

    def _objects(self, connection_id: UUID) -> Sequence[SourceObject]:
        try:
            return self.connections[connection_id]
        except KeyError as error:
            raise DataError(
                ErrorCode.INVALID_SOURCE,
                f"there is no connection {connection_id}; {len(self.connections)} are open",
                "connect to the source first, and give the connection_id of that result",
            ) from error

    def _chunks(
        self, objects: Sequence[SourceObject], request: DataStreamReaderRequest, start: StreamPosition | None
    ) -> Iterator[ChunkOfRecords]:
        chunk_bytes = request.chunk_size_mb * MEGABYTE
        position = start
        for source in objects:
            if position is None or position.object != source.name:
                position = StreamPosition(
                    object=source.name,
                    chunks=position.chunks if position else 0,
                    digest=position.digest if position else "",
                )
            if request.format in ("parquet", "arrow"):
                chunks = columnar_chunks(source, request.format, chunk_bytes, position)
            else:
                chunks = text_chunks(source, request.format, chunk_bytes, position, self.max_record_bytes)
            for chunk in chunks:
                position = chunk.position
                yield chunk

    def _next(self, ahead: _ReadAhead, chunk_id: UUID) -> ChunkOfRecords | None:
        try:
            return ahead.next()
        except LoquelaError as error:
            if error.code in (ErrorCode.READ_FAILED, ErrorCode.CORRUPT_DATA, ErrorCode.TIMEOUT):
                failure = DataStreamReaderError.model_validate(
                    {
                        "error_code": error.code,
                        "chunk_id": chunk_id,
                        "recoverable": error.code != ErrorCode.CORRUPT_DATA,
                    }
                )
                error.details.update(failure.model_dump(mode="json"))
            raise


class _ReadAhead:
    """Runs an iterator in a thread, at most `CHUNKS_AHEAD` items in front of its consumer."""

    def __init__(self, make: Callable[[], Iterator[ChunkOfRecords]], timeout_seconds: float) -> None:
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._queue: queue.Queue[ChunkOfRecords | Exception | None] = queue.Queue(maxsize=CHUNKS_AHEAD)
        self._stopped = threading.Event()
        # A daemon: a read that hangs in the operating system must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="loquela-stream-reader", daemon=True)
        self._thread.start()

    def next(self) -> ChunkOfRecords | None:
        """The next item, None at the end; raises what the iterator raised, or ResourceError(TIMEOUT)."""
        try:
            item = self._queue.get(timeout=self._timeout_seconds)
        except queue.Empty as error:
            raise ResourceError(
                ErrorCode.TIMEOUT,
                f"no chunk came within {self._timeout_seconds:g} seconds",
                "try again from the position of the last chunk, or raise the time limit",
                retryable=True,
            ) from error
        if isinstance(item, Exception):
            raise item
        return item

    def stop(self) -> None:
        """End the thread; one that hangs is left behind."""
        self._stopped.set()
        self._thread.join(timeout=self._timeout_seconds if not self._queue.empty() else 2 * LOOK_SECONDS)

    def _run(self) -> None:
        try:
            for item in self._make():
                if not self._put(item):
                    return
        except Exception as error:  # handed to the consumer, which raises it
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: ChunkOfRecords | Exception | None) -> bool:
        """Wait for room; False when nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def _chunk(chunk_id: UUID, data: bytes) -> StreamChunk:
    return StreamChunk(chunk_id=chunk_id, data=data, size_bytes=len(data), checksum=hashlib.sha256(data).hexdigest())


def _stream_id(request: DataStreamReaderRequest) -> UUID:
    """The same request has the same stream, so that chunks have the same ids when reading goes on."""
    return uuid5(NAMESPACE_OID, request.model_dump_json())


def _object_of(start: StreamPosition, objects: Sequence[SourceObject]) -> int:
    names = [source.name for source in objects]
    if start.object not in names:
        raise DataError(
            ErrorCode.INVALID_SOURCE,
            f"the position is in {start.object}, which the connection does not have",
            "give a position of this connection, or read from the beginning",
        )
    return names.index(start.object)
