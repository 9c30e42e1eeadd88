"""Records of txt, jsonl and json: raw record → text → value → the text in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from pydantic import JsonValue

from loquela.data.encoding.fallback import SAMPLE_BYTES
from loquela.data.encoding.names import newline_of
from loquela.data.encoding.report import EncodingReport
from loquela.data.reading.bad_record import CORRUPT, TOO_LONG, WITHOUT_TEXT, BadRecord
from loquela.data.reading.json_elements import JsonElements
from loquela.data.reading.json_values import JsonParser
from loquela.data.reading.object_bytes import object_chunks
from loquela.data.reading.raw_records import RawRecord, raw_lines
from loquela.data.reading.record import ReadOptions, Record
from loquela.data.reading.record_book import RecordBook
from loquela.data.reading.record_decoder import RecordDecoder, require_ascii_lines
from loquela.data.reading.text_field import text_field
from loquela.data.source_object import SourceObject

# Records that are looked at before it is said that none of them has the text's field.
PATIENCE = 100


class TextReader:
    """One object of a text format while it is read."""

    def __init__(
        self, source: SourceObject, format: str, options: ReadOptions, book: RecordBook, report: EncodingReport
    ) -> None:
        self.source = source
        self.options = options
        self.book = book
        self.report = report
        is_json = format in ("json", "jsonl")
        self.decoder = RecordDecoder(source.name, options, report, self._ahead, whole_fallback=not is_json)
        self._chunks = self._counted()
        self._head = b""
        while len(self._head) < SAMPLE_BYTES and (chunk := next(self._chunks, b"")):
            self._head += chunk
        self.mark = self.decoder.start(self._head)
        book.structure(self.mark, "byte_order_mark")

    @property
    def head(self) -> bytes:
        """The first bytes behind the byte order mark."""
        return self._head[self.mark :]

    def chunks(self) -> Iterable[bytes]:
        """All bytes behind the byte order mark, once."""
        return chain([self.head], self._chunks)

    def lines(self) -> Iterator[RawRecord]:
        """All lines behind the byte order mark, once."""
        newline = newline_of(self.decoder.encoding)
        return raw_lines(self.chunks(), self.options.max_record_bytes, start=self.mark, newline=newline)

    def record(
        self, raw: RawRecord, content: Callable[[str], tuple[str | None, Mapping[str, JsonValue]]]
    ) -> Record | None:
        """The record of `raw`, whose text and fields `content` finds in it; None when it is set aside or blank."""
        try:
            if raw.problem is not None:
                raise BadRecord(
                    raw.problem, TOO_LONG if raw.end - raw.start > self.options.max_record_bytes else CORRUPT
                )
            whole = self.decoder.text(raw)
            if not whole.strip():
                self.book.structure(raw.end - raw.start, "blank_lines")
                return None
            text, fields = content(whole)
            return self.kept(raw, text, fields)
        except BadRecord as bad:
            self.book.set_aside(raw, bad)
            return None

    def kept(self, raw: RawRecord, text: str | None, fields: Mapping[str, JsonValue]) -> Record:
        """The record of `raw`; BadRecord when its text is none."""
        if text is None:
            if self.options.text_required:
                raise BadRecord("it has no text", WITHOUT_TEXT)
            return self.book.keep(raw, None, None, fields)
        if "\0" in text:
            if self.options.encoding.on_invalid != "repair":
                raise BadRecord("a NUL character stands in its text")
            self.report.count_repaired("NUL_replaced", text.count("\0"))
            text = text.replace("\0", "\ufffd")
        return self.book.keep(raw, text, self.decoder.without_mojibake(text), fields)

    def _counted(self) -> Iterator[bytes]:
        for chunk in object_chunks(self.source):
            self.book.enter(len(chunk))
            yield chunk

    def _ahead(self, offset: int) -> bytes:
        """What stands at `offset`, to weigh evidence."""
        return next(iter(object_chunks(self.source, offset, SAMPLE_BYTES)), b"")


def line_records(reader: TextReader) -> Iterator[Record]:
    """One record a line that is not blank, without its line end."""
    for raw in reader.lines():
        record = reader.record(raw, lambda line: (line.rstrip("\r\n"), {}))
        if record is not None:
            yield record


def jsonl_records(reader: TextReader) -> Iterator[Record]:
    """One record a line that is not blank."""
    values = JsonRecords(reader)
    for raw in reader.lines():
        # A mark between two files that were joined is no part of the value.
        record = reader.record(raw, lambda line: values.content(line.removeprefix("\ufeff")))
        if record is not None:
            yield record
    values.finish()


def json_records(reader: TextReader) -> Iterator[Record]:
    """One record an element of the top-level array, or the file's one value."""
    require_ascii_lines(reader.decoder.encoding, reader.source.name, "json")
    values = JsonRecords(reader)
    elements = JsonElements(reader.chunks(), reader.options.max_record_bytes, start=reader.mark)
    for raw in elements:
        record = reader.record(raw, values.content)
        if record is not None:
            yield record
    reader.book.structure(elements.between)
    values.finish()


class JsonRecords:
    """Finds the text in JSON values; the field is the one that the first records have."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._parser = JsonParser(reader.options.max_depth)
        self._field: str | None = None
        self._names: dict[str, None] = {}  # of the first records, in order
        self._without = 0

    def content(self, line: str) -> tuple[str | None, Mapping[str, JsonValue]]:
        """Text and fields of one record; BadRecord when it has none."""
        value = self._parser.parse(line)
        if isinstance(value, str):
            return value, {}
        if not isinstance(value, dict):
            raise BadRecord(f"it is a JSON {type(value).__name__}, no object and no text")
        if self._field is None:
            self._choose(value)
        text = value.get(self._field) if self._field is not None else None
        if text is not None and not isinstance(text, str):
            raise BadRecord(f"its field {self._field!r} holds no text but {type(text).__name__}", WITHOUT_TEXT)
        chosen = self._reader.options.fields
        kept = value if chosen is None else {name: value[name] for name in chosen if name in value}
        return text, {name: held for name, held in kept.items() if name != self._field}

    def finish(self) -> None:
        """Report what was met; DataError(INVALID_SOURCE) when no record had the text's field."""
        if self._parser.non_numbers:
            self._reader.report.note("NaN_or_infinity_read_as_null", self._parser.non_numbers)
        if self._without and self._field is None:
            self._look(required=self._reader.options.text_required)

    def _choose(self, value: dict[str, JsonValue]) -> None:
        self._names.update(dict.fromkeys(value))
        self._without += 1
        self._look(required=self._without >= PATIENCE and self._reader.options.text_required)

    def _look(self, *, required: bool) -> None:
        wanted = self._reader.options.text
        if wanted is not None and wanted not in self._names and not required:
            return
        name = self._reader.source.name
        self._field = text_field(wanted, self._names, name, "field", required=required)
        if self._field is not None:
            self._reader.report.note(f"text from the field {self._field!r}")
