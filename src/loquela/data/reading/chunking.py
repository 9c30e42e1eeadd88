"""One object → chunks of whole records, each with the position behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.names import extends_ascii, mark_of, newline_of, zero_pattern
from loquela.data.reading.csv_records import LONGEST_ROW, CsvRows, delimiter_of
from loquela.data.reading.json_elements import JsonElements
from loquela.data.reading.object_bytes import object_chunks
from loquela.data.reading.raw_records import RawRecord, raw_lines
from loquela.data.reading_contracts import StreamPosition
from loquela.data.source_object import SourceObject

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class ChunkOfRecords:
    """Bytes of whole records, and the position behind them."""

    data: bytes
    position: StreamPosition


class Cursor:
    """A position while it moves."""

    def __init__(self, start: StreamPosition) -> None:
        self._object = start.object
        self._chunks = start.chunks
        self._digest = bytes.fromhex(start.digest)
        self._record = start.record
        self._last = (start.last_start, start.byte_offset, start.last_sha256)

    def move(self, start: int, end: int, sha256: str, records: int = 1) -> None:
        """Behind the bytes [start, end), which are that many records with the digest `sha256`."""
        self._record += records
        self._digest = hashlib.sha256(self._digest + bytes.fromhex(sha256)).digest()
        self._last = (start, end, sha256)

    def cut(self) -> StreamPosition:
        """The position here, behind one more chunk."""
        self._chunks += 1
        last_start, byte_offset, last_sha256 = self._last
        return StreamPosition(
            object=self._object,
            byte_offset=byte_offset,
            record=self._record,
            chunks=self._chunks,
            digest=self._digest.hex(),
            last_start=last_start,
            last_sha256=last_sha256,
        )


def text_chunks(
    source: SourceObject, format: str, chunk_bytes: int, start: StreamPosition, max_record_bytes: int
) -> Iterator[ChunkOfRecords]:
    """The chunks of `source` from `start` on: at least `chunk_bytes` each, but for the last.

    Raises DataError: READ_FAILED, CORRUPT_DATA for a record over the limit, an array that is not closed, or an object
    that is no longer the one that `start` comes from.
    """
    if start.record:
        _require_same(source, start)
    frame: Callable[[list[bytes]], bytes] = _array if format == "json" else b"".join
    cursor = Cursor(start)
    held: list[bytes] = []
    size = 0
    for raw in _records(source, format, start, max_record_bytes):
        if raw.problem is not None:
            raise _unusable(source.name, raw)
        held.append(raw.data)
        size += len(raw.data)
        cursor.move(raw.start, raw.end, raw.sha256)
        if size >= chunk_bytes:
            yield ChunkOfRecords(frame(held), cursor.cut())
            held, size = [], 0
    if held:
        yield ChunkOfRecords(frame(held), cursor.cut())


def _records(source: SourceObject, format: str, start: StreamPosition, limit: int) -> Iterator[RawRecord]:
    head = next(object_chunks(source, 0, HEAD_BYTES), b"")
    encoding, mark = mark_of(head) or (zero_pattern(head) or "utf-8", 0)
    if format == "json":
        return _elements(source, head[mark:], max(mark, start.byte_offset), bool(start.record), limit)
    newline = newline_of(encoding)
    lines = raw_lines(object_chunks(source, start.byte_offset), limit, start=start.byte_offset, newline=newline)
    if format not in ("csv", "tsv"):
        return lines
    # Only quotes and line ends matter to find rows: in what extends ASCII every byte may stand for a character.
    seen_as = "latin-1" if extends_ascii(encoding) else encoding
    delimiter = "\t" if format == "tsv" else delimiter_of(head.decode(seen_as, "replace"))
    rows = CsvRows(lines, lambda raw: raw.data.decode(seen_as, "replace"), delimiter, min(limit, LONGEST_ROW))
    return (raw for raw, _, _ in rows)


def _elements(source: SourceObject, head: bytes, start: int, inside: bool, limit: int) -> Iterator[RawRecord]:
    if inside and not head.lstrip().startswith(b"["):
        return iter(())  # the file's one value has been read
    return iter(JsonElements(object_chunks(source, start), limit, start=start, inside=inside))


def _array(elements: list[bytes]) -> bytes:
    return b"[" + b",\n".join(elements) + b"]\n"


def _unusable(name: str, raw: RawRecord) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"the record at byte {raw.start} (line {raw.line}) of {name} cannot be read whole: {raw.problem}",
        "correct it, or set format to what the file is",
        details={"source": name, "start": raw.start, "end": raw.end},
    )


def _require_same(source: SourceObject, start: StreamPosition) -> None:
    """DataError(CORRUPT_DATA) unless the last record before `start` is still what it was."""
    wanted = start.byte_offset - start.last_start
    digest = hashlib.sha256()
    for chunk in object_chunks(source, start.last_start):
        digest.update(chunk[:wanted])
        wanted -= min(wanted, len(chunk))
        if not wanted:
            break
    if wanted or digest.hexdigest() != start.last_sha256:
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"{source.name} has changed since the position was taken: its record {start.record} is another one",
            "read it from the beginning",
            details={"source": source.name, "record": start.record, "byte": start.last_start},
        )
