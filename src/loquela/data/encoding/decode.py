"""Raw bytes → text: strict UTF-8 first, evidence only where that fails, every change counted and reported.

Whole blocks are decoded at once while they are valid. Where one is not, the text is either in another encoding, which
its bytes must show (`data/encoding/settling.py`), or damaged: then the policy says what becomes of each line. Line
ends become LF. Every change of size stands under the arrow "decode".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loquela.data.encoding.block_reader import BlockReader
from loquela.data.encoding.fallback import SAMPLE_BYTES
from loquela.data.encoding.faults import mostly_quarantined, require_text
from loquela.data.encoding.feed import ByteFeed
from loquela.data.encoding.names import byte_ordered, extends_ascii, known_encoding, mark_of, unit_bytes, zero_pattern
from loquela.data.encoding.report import EncodingReport
from loquela.data.encoding.segments import SpanMap
from loquela.data.quarantine import Quarantine
from loquela.data.tally import Tally
from loquela.recipe.encoding_section import EncodingSection

STRICT = EncodingSection(on_invalid="stop", fallback=False, repair_mojibake=False)


class DecodedText:
    """The pieces of one text, once. `raw_span` tells where characters came from, when spans were asked for."""

    def __init__(self, pieces: Iterator[str], spans: SpanMap | None) -> None:
        self._pieces = pieces
        self._spans = spans

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The raw bytes of the characters [start, end) of what has been handed out, asked in rising order."""
        if self._spans is None:
            raise ValueError("raw spans are kept when decode is called with spans=True")
        return self._spans.bytes_of(start, end)


def decode(
    chunks: Iterable[bytes],
    name: str,
    tally: Tally,
    *,
    declared: str | None = None,
    language: str | None = None,
    path: str | None = None,
    policy: EncodingSection = STRICT,
    report: EncodingReport | None = None,
    quarantine: Quarantine | None = None,
    spans: bool = False,
) -> DecodedText:
    """Stream the text of `chunks`, which belong to the text called `name` (kept in the file `path`).

    `declared` is an encoding that the place states, `language` the ISO 639 code of the text; a byte order mark and
    valid UTF-8 go before both. `report` is filled on the way. Raises DataError: ENCODING_ERROR (byte offset, line)
    where the policy stops or hardly a line decodes, CORRUPT_DATA for binary data; ResourceError(MISSING_EXTRA) where a
    repair needs a package that is not installed.
    """
    reader = BlockReader(
        name=name,
        path=path or name,
        policy=policy,
        declared=declared,
        language=language,
        tally=tally,
        report=report if report is not None else EncodingReport(object=name),
        quarantine=quarantine,
        spans=SpanMap() if spans else None,
    )
    feed = ByteFeed(chunks, lambda size: tally.enter("decode", size))
    return DecodedText(_pieces(feed, reader), reader.spans)


def _pieces(feed: ByteFeed, reader: BlockReader) -> Iterator[str]:
    feed.drop(_start(feed.peek(SAMPLE_BYTES)[:SAMPLE_BYTES], reader))
    for block in feed.blocks(lambda: reader.newline, lambda: reader.encoding):
        text = reader.read(block, feed.peek)
        if text:
            yield text
    if reader.quarantined_bytes * 2 > reader.offset:
        raise mostly_quarantined(reader.name, reader.quarantined_bytes, reader.offset, reader.encoding)


def _start(head: bytes, reader: BlockReader) -> int:
    """Settle what the first bytes prove; the size of the byte order mark."""
    mark = mark_of(head)
    stated = known_encoding(reader.declared, reader.name) if reader.declared else "utf-8"
    size = 0
    if mark is not None:
        encoding, size = mark
        reader.settled(encoding, "byte order mark", 1.0)
        reader.pass_mark(size)
    elif (zeros := zero_pattern(head)) is not None and (unit_bytes(stated) > 1 or reader.policy.fallback):
        reader.settled(zeros, "zero bytes where it has them", 0.99)
    elif not extends_ascii(stated):
        reader.settled(byte_ordered(stated), "declared", 0.9)
    if unit_bytes(reader.encoding) == 1:
        require_text(head, reader.name)
    return size
