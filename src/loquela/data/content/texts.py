"""An object → its texts, whatever it holds: the one way from bytes of any source to `SourceText`.

object ─ unpack ─ what is it? ─┬─ text       decoded as a stream
                               ├─ records    json, jsonl, csv, tsv, parquet, arrow: a text each
                               ├─ document   PDF, DOCX, HTML, Markdown, EPUB: one text, in a process of its own
                               └─ web archive   a text for each page
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.data.content.document import document_text
from loquela.data.content.kind import MEDIA_TYPES, kind_of
from loquela.data.encoding.decode import decode
from loquela.data.encoding.report import EncodingReport
from loquela.data.objects.limits import limits_of
from loquela.data.objects.streams import pieces_of
from loquela.data.objects.unpacking import Unpacked, pass_over, unpacked
from loquela.data.reading.record import ReadOptions, Record
from loquela.data.reading.records import read_records
from loquela.data.source_contract import SourceRequest, SourceText
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally
from loquela.data.warc.pages import warc_texts

CHUNK_BYTES = 1 << 20
UNKNOWN = "not_a_text_suffix"

Reader = Callable[[SourceObject, SourceRequest, Tally], Iterator[SourceText]]


def texts_of(raw: SourceObject, request: SourceRequest, tally: Tally, *, alone: bool) -> Iterator[SourceText]:
    """The texts in an object of known size, in order; each must be read to its end before the next is asked for.

    `alone` says that the recipe names this very object: then what is of no known kind is read as text, and a document
    that cannot be read stops. In a folder or bucket both are counted and passed over. Raises DataError for what is
    damaged, ResourceError for what is missing on this machine.
    """
    declared = None if request.entry.format == "auto" else request.entry.format
    for found in unpacked(raw, limits_of(request.section), tally):
        inside = alone and found.source.name == raw.name
        kind = kind_of(found.source.name, found.head, declared, markup=request.section.documents.markup)
        if kind is None and not inside:
            pass_over(tally, found.size_bytes, UNKNOWN)
        else:
            yield from _read(found, kind or "txt", request, tally, alone=inside)


def _read(found: Unpacked, kind: str, request: SourceRequest, tally: Tally, *, alone: bool) -> Iterator[SourceText]:
    if kind == "txt":
        yield _plain_text(found.source, request, tally)
    elif kind == "warc":
        yield from warc_texts(found.source, request, tally)
    elif kind in MEDIA_TYPES:
        yield from document_text(found, MEDIA_TYPES[kind], request, tally, alone=alone)
    else:
        yield from _records(found.source, kind, request, tally)


def _plain_text(source: SourceObject, request: SourceRequest, tally: Tally) -> SourceText:
    report = EncodingReport(object=source.name)
    decoded = decode(
        _chunks(source, tally),
        source.name,
        tally,
        declared=request.entry.encoding or source.encoding,
        language=request.entry.language,
        path=str(source.path) if source.path else None,
        policy=request.section.encoding,
        report=report,
        quarantine=request.quarantine,
        spans=True,
    )
    return SourceText(
        name=source.name,
        pieces=_told(decoded, report, request),
        language=request.entry.language,
        object_name=source.name,
        raw_span=decoded.raw_span,
    )


def _told(pieces: Iterator[str], report: EncodingReport, request: SourceRequest) -> Iterator[str]:
    yield from pieces
    if request.report is not None:
        request.report(report)


def _chunks(source: SourceObject, tally: Tally) -> Iterator[bytes]:
    """All bytes, counted through "read" into "decode" (whose bytes the decoder counts)."""
    tally.enter("read", 0, 1)
    with source.open_at(0) as stream:
        for chunk in pieces_of(stream, CHUNK_BYTES):
            tally.enter("read", len(chunk))
            tally.leave("read", len(chunk))
            yield chunk
    tally.leave("read", 0, 1)
    tally.enter("decode", 0, 1)


def _records(source: SourceObject, kind: str, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
    entry = request.entry
    wanted = dict.fromkeys([*entry.labels, *([entry.split_by] if entry.split_by else [])])
    options = ReadOptions(
        text=entry.text,
        fields=tuple(wanted),
        declared=entry.encoding or source.encoding,
        language=entry.language,
        encoding=request.section.encoding,
        quarantine=request.quarantine,
    )
    report = EncodingReport(object=source.name)
    missing = set(wanted)
    count = 0
    # Apart, so that what the reader says it took in is known when "read" is counted.
    counted = Tally()
    for record in read_records(source, kind, options, counted, report):
        count += 1
        missing.difference_update(record.fields)
        yield _record_text(record, source.name, request)
    tally.add(counted.arrows())
    size = next(arrow.bytes_in for arrow in counted.arrows() if arrow.arrow == "decode")
    tally.enter("read", size, 1)
    tally.leave("read", size, 1)
    tally.enter("decode", 0, 1)
    if count and missing:
        raise _no_such_field(source.name, sorted(missing), count)
    if request.report is not None:
        request.report(report)


def _record_text(record: Record, name: str, request: SourceRequest) -> SourceText:
    entry = request.entry
    return SourceText(
        name=name,
        pieces=iter([record.text or ""]),
        language=entry.language,
        split_key=_label(record.fields[entry.split_by]) if entry.split_by and entry.split_by in record.fields else None,
        object_name=name,
        record=record.number,
        raw_bytes=(record.start, record.end) if record.start >= 0 else None,
        raw_sha256=record.sha256,
        labels={label: _label(record.fields[label]) for label in entry.labels if label in record.fields},
    )


def _label(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _no_such_field(name: str, missing: list[str], count: int) -> DataError:
    return DataError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"none of the {count:,} records of {name} has the field {', '.join(map(repr, missing))}",
        "correct labels and split_by of the source's entry, or leave them out",
        details={"source": name, "missing": [*missing], "records": count},
    )
