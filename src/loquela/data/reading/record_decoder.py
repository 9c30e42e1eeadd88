"""The bytes of one record → its text, by the same evidence and policy as whole texts (`data/encoding/decode.py`)."""

from __future__ import annotations

from collections.abc import Callable

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.fallback import SAMPLE_BYTES
from loquela.data.encoding.line_parts import line_parts, report_bad
from loquela.data.encoding.mojibake import MojibakeRepair
from loquela.data.encoding.names import byte_ordered, extends_ascii, known_encoding, mark_of, unit_bytes, zero_pattern
from loquela.data.encoding.report import EncodingReport
from loquela.data.encoding.settling import encoding_of_lines, read_line, settle
from loquela.data.reading.bad_record import UNDECODABLE, BadRecord
from loquela.data.reading.raw_records import RawRecord
from loquela.data.reading.record import ReadOptions


class RecordDecoder:
    """Knows the encoding of one object. `bytes_from(offset)` opens the object again, to look ahead for evidence.

    JSON is UTF-8 by its standard (RFC 8259): `whole_fallback` is off for it, so that a record in another encoding is an
    invalid record, unless the place declares that encoding.
    """

    def __init__(
        self,
        name: str,
        options: ReadOptions,
        report: EncodingReport,
        bytes_from: Callable[[int], bytes],
        *,
        whole_fallback: bool,
    ) -> None:
        self.encoding = "utf-8"
        self._name = name
        self._options = options
        self._report = report
        self._bytes_from = bytes_from
        self._whole_fallback = whole_fallback and options.encoding.fallback
        self._open = True
        self._evidence_seen = False
        self._beyond_ascii = 0
        self._of_bad: str | None = None
        self._mojibake = MojibakeRepair()

    def start(self, head: bytes) -> int:
        """Settle what the first bytes prove; the size of the byte order mark."""
        declared = self._options.declared
        stated = known_encoding(declared, self._name) if declared else "utf-8"
        mark = mark_of(head)
        if mark is not None:
            self._settle(mark[0], "byte order mark", 1.0)
            return mark[1]
        zeros = zero_pattern(head)
        if zeros is not None and (unit_bytes(stated) > 1 or self._whole_fallback):
            self._settle(zeros, "zero bytes where it has them", 0.99)
        elif not extends_ascii(stated):
            self._settle(byte_ordered(stated), "declared", 0.9)
        return 0

    def text(self, raw: RawRecord) -> str:
        """The text of `raw`; BadRecord where its bytes are none and the policy is not to repair them."""
        text = self._strict(raw.data)
        if text is None and not self._evidence_seen:
            self._weigh(raw)
            text = self._strict(raw.data)
        return self._invalid(raw) if text is None else text

    def without_mojibake(self, text: str) -> str:
        """`text` with lines mended that show the signature of mojibake, when the policy says so."""
        if not self._options.encoding.repair_mojibake or text.isascii():
            return text
        mended, lines = self._mojibake.mend_text(text)
        if lines:
            self._report.count_repaired("mojibake", lines)
        return mended

    def _settle(self, encoding: str, evidence: str, confidence: float) -> None:
        self.encoding, self._open = encoding, False
        self._report.encoding, self._report.evidence, self._report.confidence = encoding, evidence, confidence

    def _strict(self, data: bytes) -> str | None:
        try:
            text = data.decode(self.encoding)
        except UnicodeDecodeError:
            return None
        if self.encoding == "utf-8":
            self._beyond_ascii += len(data) - len(text)
        return None if "\0" in text else text

    def _weigh(self, raw: RawRecord) -> None:
        """At the first invalid record: what is the object, or else its bad records, in?"""
        self._evidence_seen = True
        sample = (raw.data + self._bytes_from(raw.end))[:SAMPLE_BYTES]
        declared, language = self._options.declared, self._options.language
        if self._open:
            choice = settle(
                sample, self._beyond_ascii, declared=declared, language=language, fallback=self._whole_fallback
            )
            if choice is not None:
                self._settle(choice.encoding, choice.evidence, choice.confidence)
                return
            self._settle("utf-8", "valid UTF-8 but for some records", 1.0)
        if self._options.encoding.on_invalid == "repair" and self.encoding == "utf-8":
            self._of_bad = encoding_of_lines(sample, declared=declared, language=language)

    def _invalid(self, raw: RawRecord) -> str:
        repair = self._options.encoding.on_invalid == "repair"
        text = read_line(raw.data, self._of_bad) if repair and self._of_bad else None
        action = (self._of_bad if text is not None else "U+FFFD") if repair else "quarantined"
        parts = line_parts(raw.data, self.encoding)
        bad = report_bad(self._report, parts, raw.data, raw.start, raw.line, action or "")
        if not repair:
            where = f"byte {raw.start + bad[0].start}"
            raise BadRecord(f"it is not {self.encoding.upper()}: {bad[0].reason} at {where}", UNDECODABLE)
        if text is not None:
            self._report.count_repaired(f"record_read_as_{self._of_bad}")
            return text
        self._report.count_repaired("invalid_bytes_replaced", len(bad))
        return "".join(part.text for part in parts)


def require_ascii_lines(encoding: str, name: str, format: str) -> None:
    """DataError(ENCODING_ERROR) for a format whose structure is searched byte by byte, in UTF-16 or the like."""
    if not extends_ascii(encoding):
        raise DataError(
            ErrorCode.ENCODING_ERROR,
            f"{name} is {format} in {encoding.upper()}; {format} is read in UTF-8",
            f"convert it: iconv -f {encoding.upper()} -t UTF-8, or give it as jsonl",
            details={"source": name, "encoding": encoding},
        )
