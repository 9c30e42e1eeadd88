"""DataStreamReader: whole records in chunks, back-pressure, resume in the middle, errors that can be acted on."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading_objects import in_memory

import seed_text
from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.reading import stream_reader
from loquela.data.reading.contracts import DataStreamReaderError, DataStreamReaderRequest, StreamPosition
from loquela.data.reading.stream_reader import DataStreamReader
from loquela.data.source_object import SourceObject
from loquela.monitoring.events import Event, EventBus, SilentBus
from waiting import until

CONNECTION = UUID(int=7)


@pytest.fixture(autouse=True)
def small_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 1 to 100 of these are made in no time."""
    monkeypatch.setattr(stream_reader, "MEGABYTE", 1000)


def reader_of(*objects: SourceObject, bus=None, **options) -> DataStreamReader:
    return DataStreamReader({CONNECTION: objects}, bus or SilentBus(), **options)


def request(format: str, size: int = 1) -> DataStreamReaderRequest:
    return DataStreamReaderRequest(connection_id=CONNECTION, chunk_size_mb=size, format=format)


JSONL = b"".join(json.dumps({"text": f"record {n} " + "x" * (n % 90)}).encode() + b"\n" for n in range(200))
ARRAY = b"[" + b",\n ".join(line for line in JSONL.splitlines()) + b"]"
SHEET = b"id,text\r\n" + b"".join(b'%d,"one\r\n""two"" %d"\r\n' % (n, n) for n in range(200))


def table_bytes(rows: int, group: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(rows)], "n": range(rows)}), sink, row_group_size=group)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("format", "data"), [("txt", JSONL), ("jsonl", JSONL), ("csv", SHEET), ("tsv", SHEET.replace(b",", b"\t"))]
)
def test_chunks_join_to_the_object_and_split_no_record(format: str, data: bytes) -> None:
    result = reader_of(in_memory(data, "a")).read(request(format))
    assert result.total_chunks == len(result.chunks) > 4
    assert b"".join(chunk.data for chunk in result.chunks) == data
    for chunk in result.chunks:
        assert chunk.data.endswith(b"\n")
        assert chunk.size_bytes == len(chunk.data)
        assert chunk.checksum == hashlib.sha256(chunk.data).hexdigest()
        assert chunk.data.count(b'"') % 2 == 0
    assert all(1000 <= chunk.size_bytes < 1200 for chunk in result.chunks[:-1])
    assert len({chunk.chunk_id for chunk in result.chunks}) == result.total_chunks


def test_a_json_chunk_is_an_array_of_whole_elements() -> None:
    result = reader_of(in_memory(ARRAY, "a")).read(request("json"))
    assert [row for chunk in result.chunks for row in json.loads(chunk.data)] == json.loads(ARRAY)
    assert result.total_chunks > 5


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_chunk_of_a_table_is_an_arrow_stream(format: str) -> None:
    rows = 3000
    data = table_bytes(rows, 1000)
    if format == "arrow":
        sink = io.BytesIO()
        with pa.ipc.new_file(sink, pa.schema({"text": pa.string()})) as writer:
            writer.write_table(pa.table({"text": [f"text {n}" for n in range(rows)]}), max_chunksize=100)
        data = sink.getvalue()
    stream = list(reader_of(in_memory(data, "a")).stream(request(format, 4)))
    tables = [pa.ipc.open_stream(found.chunk.data).read_all() for found in stream]
    assert [text for table in tables for text in table["text"].to_pylist()] == [f"text {n}" for n in range(rows)]
    assert len(tables) > 3
    middle = StreamPosition.model_validate_json(stream[2].position.model_dump_json())
    again = list(reader_of(in_memory(data, "a")).stream(request(format, 4), middle))
    assert [found.chunk for found in again] == [found.chunk for found in stream[3:]]
    assert again[-1].position == stream[-1].position


@pytest.mark.parametrize(("format", "data"), [("txt", JSONL), ("jsonl", JSONL), ("csv", SHEET), ("json", ARRAY)])
def test_reading_goes_on_in_the_middle_as_if_it_had_never_stopped(format: str, data: bytes) -> None:
    objects = in_memory(data, "a"), in_memory(data + b"\n", "b")
    whole = list(reader_of(*objects).stream(request(format)))
    for stop in (0, 3, len(whole) // 2, len(whole) - 2, len(whole) - 1):
        position = StreamPosition.model_validate_json(whole[stop].position.model_dump_json())
        rest = list(reader_of(*objects).stream(request(format), position))
        assert [found.chunk for found in rest] == [found.chunk for found in whole[stop + 1 :]]
        if rest:
            assert rest[-1].position == whole[-1].position
    records = 201 if format == "csv" else 200
    assert whole[-1].position.record == records + (format != "json")  # the blank line of the second
    digest = b""
    for found in whole:
        digest = hashlib.sha256(digest + bytes.fromhex(found.chunk.checksum)).digest()
        assert found.position.digest == digest.hex()


def test_positions_of_other_objects_are_refused() -> None:
    position = next(iter(reader_of(in_memory(JSONL, "a")).stream(request("jsonl")))).position
    changed = in_memory(JSONL.upper(), "a")
    with pytest.raises(DataError, match="a has changed since the position was taken: its record") as caught:
        list(reader_of(changed).stream(request("jsonl"), position))
    assert caught.value.details["error_code"] == "CORRUPT_DATA"
    assert caught.value.details["recoverable"] is False
    with pytest.raises(DataError, match="the position is in a, which the connection does not have"):
        list(reader_of(in_memory(JSONL, "b")).stream(request("jsonl"), position))
    with pytest.raises(DataError, match="there is no connection .*; 0 are open") as missing:
        list(DataStreamReader({}, SilentBus()).stream(request("txt")))
    assert missing.value.code == ErrorCode.INVALID_SOURCE


def endless(taken: list[int]) -> SourceObject:
    class Stream(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            taken.append(size)
            return b"a line of text\n" * 100

    @contextmanager
    def open_at(offset: int) -> Iterator[Stream]:
        yield Stream()

    return SourceObject("endless", open_at)


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "loquela-stream-reader"]


def test_nobody_takes_chunks_and_nothing_more_is_read() -> None:
    taken: list[int] = []
    stream = reader_of(endless(taken)).stream(request("txt"))
    next(stream)
    until(lambda: len(taken) >= 4, every=0.01)
    time.sleep(0.1)
    held = len(taken)
    # one in use, two waiting, one in the making; a chunk here is one read, and the head is read once for evidence
    assert held <= 6
    next(stream)
    stream.close()
    assert reader_threads() == []
    assert len(taken) <= held + 2


def test_a_consumer_that_fails_leaves_no_thread_behind() -> None:
    with pytest.raises(ZeroDivisionError):
        for found in reader_of(endless([])).stream(request("txt")):
            _ = found.chunk.size_bytes / 0
    gc.collect()
    assert reader_threads() == []


def test_a_read_that_hangs_times_out_and_can_be_taken_up_again() -> None:
    release = threading.Event()

    class Stream(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() >= 3000:
                release.wait(20)
                return b""
            return super().read(1500)

    @contextmanager
    def open_at(offset: int) -> Iterator[Stream]:
        yield Stream(JSONL[offset:])

    stream = reader_of(SourceObject("slow", open_at), timeout_seconds=0.3).stream(request("jsonl"))
    found = []
    with pytest.raises(ResourceError, match="no chunk came within 0.3 seconds") as caught:
        found.extend(stream)
    release.set()
    failure = DataStreamReaderError.model_validate(caught.value.details)
    assert (failure.error_code, failure.recoverable) == ("TIMEOUT", True)


def test_a_read_that_fails_keeps_what_came_before() -> None:
    class Stream(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() > 4000:
                raise OSError(5, "Input/output error")
            return super().read(500)

    @contextmanager
    def open_at(offset: int) -> Iterator[Stream]:
        yield Stream(JSONL[offset:])

    found = []
    with pytest.raises(DataError, match="reading torn failed: Input/output error") as caught:
        found.extend(reader_of(SourceObject("torn", open_at)).stream(request("jsonl")))
    details = {name: caught.value.details[name] for name in DataStreamReaderError.model_fields}
    failure = DataStreamReaderError.model_validate(details)
    assert (failure.error_code, failure.recoverable) == ("READ_FAILED", True)
    assert len(found) >= 3
    whole = list(reader_of(in_memory(JSONL, "torn")).stream(request("jsonl")))
    assert failure.chunk_id == whole[len(found)].chunk.chunk_id
    rest = list(reader_of(in_memory(JSONL, "torn")).stream(request("jsonl"), found[-1].position))
    assert [chunk.chunk for chunk in found + rest] == [chunk.chunk for chunk in whole]


def test_records_that_cannot_be_whole() -> None:
    with pytest.raises(DataError, match="record at byte 5 of a cannot be read whole: it is longer than 100"):
        reader_of(in_memory(b"text\n" + b"x" * 5000, "a"), max_record_bytes=100).read(request("txt"))
    with pytest.raises(DataError, match="cannot be read whole: the file ends inside it"):
        reader_of(in_memory(b'[{"a": 1}, {"b"', "a")).read(request("json"))


def test_a_value_that_is_no_array_is_one_record() -> None:
    data = b'{"text": "whole"}\n'
    (found,) = list(reader_of(in_memory(data, "a")).stream(request("json")))
    assert json.loads(found.chunk.data) == [{"text": "whole"}]
    assert list(reader_of(in_memory(data, "a")).stream(request("json"), found.position)) == []


def test_trace_points_and_what_they_say() -> None:
    told: list[Event] = []
    bus = EventBus()
    bus.subscribe(told.append)
    result = reader_of(in_memory(JSONL, "a"), bus=bus).read(request("jsonl", 5))
    names = [event.name.split(".")[1] for event in told]
    pairs = ["chunk_read_start", "chunk_read_complete"] * result.total_chunks
    assert names == [*pairs, "chunk_read_start", "stream_complete"]
    assert told[1].data["checksum"] == result.chunks[0].checksum
    assert told[-1].data["size_bytes"] == len(JSONL)
    if seed_text.seed("000"):
        (part,) = [part for part in seed_text.components(seed_text.seed("000")) if part.name == "DataStreamReader"]
        assert set(part.trace_points) <= set(names)


def test_a_result_survives_json() -> None:
    result = reader_of(in_memory("año\n".encode("cp1252"), "a")).read(request("txt"))
    again = type(result).model_validate_json(result.model_dump_json())
    assert again == result
    assert again.chunks[0].data == b"a\xf1o\n"
    with pytest.raises(ValueError, match="less than or equal to 100"):
        DataStreamReaderRequest(connection_id=uuid4(), chunk_size_mb=101, format="txt")
