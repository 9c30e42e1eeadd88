"""Blocks of whole lines of one text → decoded text, by the policy; keeps ledger, report and span map."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loquela.core.errors import DataError
from loquela.data.encoding.fallback import SAMPLE_BYTES
from loquela.data.encoding.faults import binary, undecodable
from loquela.data.encoding.feed import pieces_of_lines
from loquela.data.encoding.line_parts import ZERO, LinePart, line_parts, report_bad
from loquela.data.encoding.mojibake import MojibakeRepair
from loquela.data.encoding.names import newline_of, unit_bytes
from loquela.data.encoding.report import EncodingReport
from loquela.data.encoding.segments import SINGLE_BYTE_PREFIXES, Segment, SpanMap, segment
from loquela.data.encoding.settling import encoding_of_lines, read_line, settle
from loquela.data.quarantine import Quarantine
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.encoding_section import EncodingSection

UNDECODABLE = "undecodable_line_quarantined"
UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# Encodings in which every character has one form in bytes.
MAPPED = (*SINGLE_BYTE_PREFIXES, "utf-8", "utf-16", "utf-32")


@dataclass
class BlockReader:
    """State of one text: `offset` and `line` say where the next block starts, `encoding` what it is taken for."""

    name: str
    path: str
    policy: EncodingSection
    declared: str | None
    language: str | None
    tally: Tally
    report: EncodingReport
    quarantine: Quarantine | None
    spans: SpanMap | None
    encoding: str = "utf-8"
    offset: int = 0
    line: int = 0
    quarantined_bytes: int = 0
    _open: bool = True  # nothing has proved the encoding yet
    _beyond_ascii: int = 0  # bytes of valid characters so far, less one for each
    _evidence_seen: bool = False
    _of_bad_lines: str | None = None
    _mojibake: MojibakeRepair = field(default_factory=MojibakeRepair)

    @property
    def newline(self) -> bytes:
        """A line feed in the encoding."""
        return newline_of(self.encoding)

    def settled(self, encoding: str, evidence: str, confidence: float) -> None:
        """The text is in `encoding`."""
        self.encoding, self._open = encoding, False
        self.report.encoding, self.report.evidence, self.report.confidence = encoding, evidence, confidence

    def pass_mark(self, size: int) -> None:
        """The text starts behind a byte order mark of `size` bytes."""
        self.offset += size
        self.tally.change("decode", "byte_order_mark", -size)

    def read(self, block: bytes, peek: Callable[[int], bytes]) -> str:
        """The text of `block`; `peek` shows what comes behind it, for evidence."""
        segments = self._whole(block) or list(self._by_lines(block, peek))
        pieces = [self._counted(piece) for found in segments for piece in self._without_mojibake(found, block)]
        self.offset += len(block)
        self.line += block.count(self.newline)
        return "".join(pieces)

    # ── valid blocks ──────────────────────────────────────────────────────────────────────────────────

    def _whole(self, block: bytes) -> list[Segment]:
        """The block at once; nothing when it must be looked at line by line."""
        wide = unit_bytes(self.encoding) > 1
        if not wide and (b"\0" in block or (self._utf8_first and UTF8_SEQUENCE.search(block))):
            return []
        try:
            text = block.decode(self.encoding)
        except UnicodeDecodeError:
            return []
        if wide and "\0" in text:
            return []
        if self.encoding == "utf-8":
            self._beyond_ascii += len(block) - len(text)
        return [self._good(0, block, self.encoding, text)]

    @property
    def _utf8_first(self) -> bool:
        """In a text of a single-byte encoding a line that is valid UTF-8 beyond ASCII is just that."""
        return self.encoding.startswith(SINGLE_BYTE_PREFIXES)

    def _good(self, start: int, raw: bytes, encoding: str, decoded: str | None = None) -> Segment:
        """The bytes `raw`, from `start` in the block, in an encoding that reads them (as `decoded`)."""
        text = raw.decode(encoding) if decoded is None else decoded
        reason = None if encoding == "utf-8" else f"{encoding}_to_utf-8"
        mapped: str | None = encoding
        if self.spans is not None and not encoding.startswith(MAPPED):
            # Some encodings have two forms of one character, or escapes: then places cannot be told.
            mapped = encoding if text.encode(encoding, "replace") == raw else None
        return segment(self.offset + start, self.offset + start + len(raw), text, mapped, reason)

    # ── blocks with something in them that is not valid ───────────────────────────────────────────────

    def _by_lines(self, block: bytes, peek: Callable[[int], bytes]) -> Iterator[Segment]:
        run_start, run_encoding = 0, ""
        number = self.line
        line_begins = True
        for start, end in pieces_of_lines(block, self.newline, self.encoding):
            raw = block[start:end]
            number += line_begins
            line_begins = raw.endswith(self.newline)
            encoding = self._readable(raw, run_encoding)
            if not encoding and not self._evidence_seen:
                if self.encoding == "utf-8":
                    self._beyond_ascii += start - len(block[:start].decode("utf-8"))
                self._weigh(block[start:], peek)
                encoding = self._readable(raw, run_encoding)
            if encoding != run_encoding:
                if run_encoding and run_start < start:
                    yield self._good(run_start, block[run_start:start], run_encoding)
                run_start, run_encoding = start, encoding
            if not encoding:
                yield from self._bad_line(raw, start, number)
        if run_encoding:
            yield self._good(run_start, block[run_start:], run_encoding)

    def _readable(self, raw: bytes, run_encoding: str) -> str:
        """The encoding that reads the line `raw`; "" where there is none."""
        wide = unit_bytes(self.encoding) > 1
        if not wide and b"\0" in raw:
            return ""
        if not wide and raw.isascii():
            return run_encoding or self.encoding
        seems_utf8 = self._utf8_first and UTF8_SEQUENCE.search(raw)
        for encoding in ("utf-8", self.encoding) if seems_utf8 else (self.encoding,):
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError:
                continue
            if encoding != self.encoding:
                self.report.note("lines_that_are_utf-8")
            if not wide or "\0" not in text:
                return encoding
        return ""

    def _weigh(self, rest: bytes, peek: Callable[[int], bytes]) -> None:
        """Find out what the text, or else its bad lines, are in; `rest` starts with the first bad line."""
        self._evidence_seen = True
        sample = (rest + peek(SAMPLE_BYTES))[:SAMPLE_BYTES] if len(rest) < SAMPLE_BYTES else rest[:SAMPLE_BYTES]
        hints = {"declared": self.declared, "language": self.language}
        if self._open:
            choice = settle(sample, self._beyond_ascii, fallback=self.policy.fallback, **hints)
            if choice is not None:
                self.settled(choice.encoding, choice.evidence, choice.confidence)
                return
            self.settled("utf-8", "valid UTF-8 but for some lines", 1.0)
        if self.policy.on_invalid == "repair" and self.encoding == "utf-8":
            self._of_bad_lines = encoding_of_lines(sample, **hints)

    def _bad_line(self, raw: bytes, start: int, number: int) -> Iterator[Segment]:
        parts = line_parts(raw, self.encoding)
        offset = self.offset + start
        if self.policy.on_invalid == "stop":
            raise self._stopped(raw, offset, number, next(part for part in parts if part.reason is not None))
        if self.policy.on_invalid == "quarantine":
            report_bad(self.report, parts, raw, offset, number, "quarantined")
            self._set_aside(raw, offset, number)
        elif self._of_bad_lines and (text := read_line(raw, self._of_bad_lines)) is not None:
            report_bad(self.report, parts, raw, offset, number, self._of_bad_lines)
            self.report.count_repaired(f"line_read_as_{self._of_bad_lines}")
            reason = f"{self._of_bad_lines}_to_utf-8"
            yield segment(offset, offset + len(raw), text, self._of_bad_lines, reason)
        else:
            bad = report_bad(self.report, parts, raw, offset, number, "U+FFFD")
            self.report.count_repaired("invalid_bytes_replaced", len(bad))
            for part in parts:
                if part.reason is None:
                    yield self._good(start + part.start, raw[part.start : part.end], self.encoding)
                else:
                    ends = offset + part.start, offset + part.end
                    yield segment(*ends, part.text, None, "invalid_bytes_replaced")

    def _stopped(self, raw: bytes, offset: int, number: int, bad: LinePart) -> DataError:
        if bad.reason == ZERO:
            return binary(self.name, offset + bad.start, number, ZERO)
        before = self._beyond_ascii > 0 or not self.report.untouched
        return undecodable(self.name, self.path, self.encoding, number, offset, raw, beyond_ascii_before=before)

    def _set_aside(self, raw: bytes, offset: int, number: int) -> None:
        self.report.quarantined += 1
        self.quarantined_bytes += len(raw)
        self.tally.change("decode", UNDECODABLE, -len(raw))
        if self.quarantine is not None:
            self.quarantine.put(self.name, number, offset, offset + len(raw), UNDECODABLE, raw)

    # ── mojibake, ledger, spans ───────────────────────────────────────────────────────────────────────

    def _without_mojibake(self, found: Segment, block: bytes) -> Iterator[Segment]:
        if not self.policy.repair_mojibake or found.encoding != "utf-8":
            yield found
            return
        raw = block[found.start - self.offset : found.end - self.offset]
        kept = 0
        for start, end in self._mojibake.suspects(raw):
            line = raw[start:end].decode("utf-8")
            mended = self._mojibake.mend(line)
            if mended == line:
                continue
            if start > kept:
                yield self._good(found.start - self.offset + kept, raw[kept:start], "utf-8")
            yield segment(found.start + start, found.start + end, mended, None, "mojibake_repaired")
            self.report.count_repaired("mojibake")
            kept = end
        if not kept:
            yield found
        elif kept < len(raw):
            yield self._good(found.start - self.offset + kept, raw[kept:], "utf-8")

    def _counted(self, found: Segment) -> str:
        if found.reason is not None:
            self.tally.change("decode", found.reason, utf8_size(found.decoded) - (found.end - found.start))
        self.tally.change("decode", "crlf_to_lf", len(found.text) - len(found.decoded))
        if self.spans is not None:
            self.spans.add(found)
        return found.text
