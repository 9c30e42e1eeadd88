"""One object → chunks of whole records, each with the position behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.feed import last_line_end, lines
from loquela.data.encoding.names import extends_ascii, mark_of, newline_of, zero_pattern
from loquela.data.reading.contracts import StreamPosition
from loquela.data.reading.csv_records import LONGEST_ROW, CsvRows, delimiter_of
from loquela.data.reading.json_elements import JsonElements
from loquela.data.reading.object_bytes import object_chunks
from loquela.data.reading.raw_records import RawRecord, raw_lines, raw_record, too_long
from loquela.data.source_object import SourceObject

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class ChunkOfRecords:
    """Bytes of whole records, and the position behind them."""

    data: bytes
    position: StreamPosition


class Cursor:
    """A position while it moves, a chunk at a time."""

    def __init__(self, start: StreamPosition) -> None:
        self._at = start

    @property
    def byte_offset(self) -> int:
        """Where the next chunk starts."""
        return self._at.byte_offset

    def cut(self, data: bytes, records: int, end: int, last_start: int, last_sha256: str) -> ChunkOfRecords:
        """The chunk `data` of so many records up to byte `end`, the last of which is as said."""
        digest = hashlib.sha256(bytes.fromhex(self._at.digest) + hashlib.sha256(data).digest())
        self._at = StreamPosition(
            object=self._at.object,
            byte_offset=end,
            record=self._at.record + records,
            chunks=self._at.chunks + 1,
            digest=digest.hexdigest(),
            last_start=last_start,
            last_sha256=last_sha256,
        )
        return ChunkOfRecords(data, self._at)


def text_chunks(
    source: SourceObject, format: str, chunk_bytes: int, start: StreamPosition, max_record_bytes: int
) -> Iterator[ChunkOfRecords]:
    """The chunks of `source` from `start` on: at least `chunk_bytes` each, but for the last.

    Raises DataError: READ_FAILED, CORRUPT_DATA for a record over the limit (of lines: one that a chunk would end in),
    an array that is not closed, or an object that is no longer the one that `start` comes from.
    """
    if start.record:
        _require_same(source, start)
    head = next(object_chunks(source, 0, HEAD_BYTES), b"")
    encoding, mark = mark_of(head) or (zero_pattern(head) or "utf-8", 0)
    cursor = Cursor(start)
    if format == "json":
        inside = start.record > 0
        elements = _elements(source, head[mark:], max(mark, start.byte_offset), inside, max_record_bytes)
        yield from _collected(elements, source.name, chunk_bytes, cursor, _array)
    elif format in ("csv", "tsv"):
        rows = _rows(source, head, format, encoding, start.byte_offset, max_record_bytes)
        yield from _collected(rows, source.name, chunk_bytes, cursor, b"".join)
    else:
        chunks = object_chunks(source, start.byte_offset)
        yield from _lines(chunks, source.name, newline_of(encoding), chunk_bytes, cursor, max_record_bytes)


def _lines(
    chunks: Iterator[bytes], name: str, newline: bytes, chunk_bytes: int, cursor: Cursor, limit: int
) -> Iterator[ChunkOfRecords]:
    """Chunks of whole lines; only the last line's end is looked for."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        while size >= chunk_bytes:
            data = b"".join(held)
            end = _line_end_from(data, newline, chunk_bytes)
            if not end:
                held = [data]
                line_start = last_line_end(data, newline)
                if size - line_start > limit:
                    raise _unusable(name, raw_record(cursor.byte_offset + line_start, 0, b"", too_long(limit)))
                break
            yield _cut_lines(cursor, data[:end], newline)
            held, size = [data[end:]], size - end
    if size:
        yield _cut_lines(cursor, b"".join(held), newline)


def _line_end_from(data: bytes, newline: bytes, least: int) -> int:
    """Where the first line ends that makes at least `least` bytes; 0 where none does."""
    place = data.find(newline, least - len(newline))
    while place >= 0 and place % len(newline):
        place = data.find(newline, place + 1)
    return place + len(newline) if place >= 0 else 0


def _cut_lines(cursor: Cursor, data: bytes, newline: bytes) -> ChunkOfRecords:
    width = len(newline)
    records = data.count(newline) if width == 1 else sum(1 for _ in lines(data, newline)) - 1
    last = last_line_end(data[:-width], newline)
    whole = data.endswith(newline) and width == 1
    last_sha256 = hashlib.sha256(data[last:]).hexdigest()
    offset = cursor.byte_offset
    return cursor.cut(data, records + (not whole), offset + len(data), offset + last, last_sha256)


def _rows(
    source: SourceObject, head: bytes, format: str, encoding: str, offset: int, limit: int
) -> Iterator[RawRecord]:
    """Rows of csv: only quotes and line ends matter, so in what extends ASCII every byte stands for a character."""
    seen_as = "latin-1" if extends_ascii(encoding) else encoding
    delimiter = "\t" if format == "tsv" else delimiter_of(head.decode(seen_as, "replace"))
    physical = raw_lines(object_chunks(source, offset), limit, start=offset, newline=newline_of(encoding))
    rows = CsvRows(physical, lambda raw: raw.data.decode(seen_as, "replace"), delimiter, min(limit, LONGEST_ROW))
    return (raw for raw, _, _ in rows)


def _elements(source: SourceObject, head: bytes, offset: int, inside: bool, limit: int) -> Iterator[RawRecord]:
    if inside and not head.lstrip().startswith(b"["):
        return iter(())  # the file's one value has been read
    return iter(JsonElements(object_chunks(source, offset), limit, start=offset, inside=inside))


def _array(elements: list[bytes]) -> bytes:
    return b"[" + b",\n".join(elements) + b"]\n"


def _collected(
    raws: Iterator[RawRecord], name: str, chunk_bytes: int, cursor: Cursor, frame: Callable[[list[bytes]], bytes]
) -> Iterator[ChunkOfRecords]:
    """Chunks of records that are found one by one."""
    held: list[bytes] = []
    size = 0
    raw: RawRecord | None = None
    for raw in raws:
        if raw.problem is not None:
            raise _unusable(name, raw)
        held.append(raw.data)
        size += len(raw.data)
        if size >= chunk_bytes:
            yield cursor.cut(frame(held), len(held), raw.end, raw.start, raw.sha256)
            held, size = [], 0
    if held and raw is not None:
        yield cursor.cut(frame(held), len(held), raw.end, raw.start, raw.sha256)


def _unusable(name: str, raw: RawRecord) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"the record at byte {raw.start} of {name} cannot be read whole: {raw.problem}",
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
