"""Keeps count of one object's records: numbers, ledger, report and quarantine."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.report import EncodingReport
from loquela.data.reading.bad_record import UNDECODABLE, BadRecord
from loquela.data.reading.raw_records import RawRecord
from loquela.data.reading.record import ReadOptions, Record
from loquela.data.tally import Tally, utf8_size


class RecordBook:
    """Every byte and record of the object `name` goes through here, once, whatever becomes of it."""

    def __init__(self, name: str, format: str, options: ReadOptions, tally: Tally, report: EncodingReport) -> None:
        self.count = 0
        self.bad = 0
        self.report = report
        self._name = name
        self._format = format
        self._options = options
        self._tally = tally
        self._first_bad = ""

    def enter(self, size: int) -> None:
        """`size` bytes of the object came in."""
        self._tally.enter("decode", size)

    def structure(self, size: int, reason: str | None = None) -> None:
        """`size` bytes of the object are no text and belong to no record."""
        self._tally.change("decode", reason or f"{self._format}_structure", -size)

    def keep(self, raw: RawRecord, text: str | None, mended: str | None, fields: Mapping[str, JsonValue]) -> Record:
        """The next record: `text` came out of `raw`, and is `mended` without mojibake."""
        self.count += 1
        size = raw.end - raw.start
        final = None
        if text is not None and mended is not None:
            size -= utf8_size(text)
            if mended is not text:
                self._tally.change("decode", "mojibake_repaired", utf8_size(mended) - utf8_size(text))
            final = mended if "\r" not in mended else mended.replace("\r\n", "\n").replace("\r", "\n")
            self._tally.change("decode", "crlf_to_lf", len(final) - len(mended))
        self.structure(size)
        return Record(final, fields, self.count, raw.start, raw.end, raw.sha256)

    def set_aside(self, raw: RawRecord, bad: BadRecord) -> None:
        """The next record is `bad`; DataError (CORRUPT_DATA, ENCODING_ERROR) when the policy is to stop there."""
        reason = str(bad)
        self.count += 1
        self.bad += 1
        self._first_bad = self._first_bad or f"{self._place(raw)}: {reason}"
        if self._options.encoding.on_invalid == "stop":
            raise DataError(
                ErrorCode.ENCODING_ERROR if bad.kind == UNDECODABLE else ErrorCode.CORRUPT_DATA,
                f"{self._name} cannot be read at {self._place(raw)}: {reason}",
                "correct that record, or set data.encoding.on_invalid: quarantine to go on without it",
                details={"source": self._name, "record": self.count, "start": raw.start, "end": raw.end},
            )
        self._tally.change("decode", bad.kind, raw.start - raw.end, -1)
        self.report.quarantined += 1
        if self._options.quarantine is not None:
            self._options.quarantine.put(
                self._name, self.count, raw.start, raw.end, reason, raw.data, sha256=raw.sha256
            )

    def finish(self) -> None:
        """Count the object's one item as that many records; DataError(CORRUPT_DATA) when most were set aside."""
        self._tally.change("decode", "object_into_records", 0, self.count - 1)
        if self.bad * 2 > self.count:
            raise DataError(
                ErrorCode.CORRUPT_DATA,
                f"{self._name} is hardly {self._format}: {self.bad} of its {self.count} records cannot be used; "
                f"first {self._first_bad}",
                "set format, text and encoding of the source's entry to what the file is",
                details={"source": self._name, "records": self.count, "bad": self.bad},
            )

    def _place(self, raw: RawRecord) -> str:
        return f"record {self.count} (line {raw.line}, bytes {raw.start} to {raw.end})"
