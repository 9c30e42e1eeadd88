"""One object → records: its texts with what stands beside them, each with its place and checksum.

A record that is damaged costs that record alone: it goes to the quarantine with its place, and reading goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loquela.core.errors import DataError, ErrorCode
from loquela.core.near_names import unknown_name
from loquela.data.encoding.report import EncodingReport
from loquela.data.reading.columnar import columnar_records
from loquela.data.reading.csv_records import csv_records
from loquela.data.reading.formats import RECORD_FORMATS
from loquela.data.reading.record import ReadOptions, Record
from loquela.data.reading.record_book import RecordBook
from loquela.data.reading.text_records import TextReader, json_records, jsonl_records, line_records
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally

__all__ = ["ReadOptions", "Record", "read_records"]


def read_records(
    source: SourceObject, format: str, options: ReadOptions, tally: Tally, report: EncodingReport
) -> Iterator[Record]:
    """Stream the records of `source`, which is of `format` (one of `RECORD_FORMATS`; a record of txt is a line).

    The tally's arrow "decode" is entered with the bytes of the object, and every byte that does not become text is
    given a reason; the caller counts the arrow "read" and the object's one item into "decode", and lets each record
    leave "decode". The one item becomes one item a record. `report` says what was found and done.

    Raises DataError: READ_FAILED, CORRUPT_DATA, ENCODING_ERROR, UNSUPPORTED_FORMAT, INVALID_SOURCE for a text column
    that is not there; ResourceError: TIMEOUT, MISSING_EXTRA, and what the quarantine's writing raises.
    """
    if format not in RECORD_FORMATS:
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{source.name}: {unknown_name('format', format, RECORD_FORMATS)}",
            f"set format to one of: {', '.join(RECORD_FORMATS)}",
        )
    book = RecordBook(source.name, format, options, tally, report)
    if format in ("parquet", "arrow"):
        yield from columnar_records(source, format, options, book)
    else:
        reader = TextReader(source, format, options, book, report)
        yield from _TEXT_FORMATS[format](reader)
    book.finish()


_TEXT_FORMATS: dict[str, Callable[[TextReader], Iterator[Record]]] = {
    "txt": line_records,
    "jsonl": jsonl_records,
    "json": json_records,
    "csv": lambda reader: csv_records(reader, reader.options.delimiter),
    "tsv": lambda reader: csv_records(reader, reader.options.delimiter or "\t"),
}
