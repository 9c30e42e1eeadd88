"""Long texts → documents of about `document_bytes`, cut where a reader would pause.

Joined again, the documents are the text. A paragraph (up to its blank lines) stays whole unless it alone is longer
than four documents; such a one is cut at line ends, else at sentence ends, else at spaces. Where the cuts fall does
not depend on how the text arrives in blocks. Sizes are those that `size_of` tells: of the normalised text, when the
documents are normalised afterwards.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from loquela.data.tally import utf8_size

PARAGRAPH_GAP = re.compile(r"\n(?:[^\S\n]*\n)+")
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+|[。！？]+")
LONGEST_PARAGRAPH = 4

SizeOf = Callable[[str], int]


def cut(blocks: Iterator[str], document_bytes: int, size_of: SizeOf = utf8_size) -> Iterator[str]:
    """Stream the documents of one text; at most a few documents are held at once."""
    held: list[str] = []
    held_bytes = 0
    for paragraph in _paragraphs(blocks, document_bytes, size_of):
        size = size_of(paragraph)
        if held and held_bytes + size > document_bytes:
            yield "".join(held)
            held, held_bytes = [], 0
        held.append(paragraph)
        held_bytes += size
    if held:
        yield "".join(held)


def _paragraphs(blocks: Iterator[str], document_bytes: int, size_of: SizeOf) -> Iterator[str]:
    """Paragraphs with the blank lines behind them; overlong ones in pieces of at most `document_bytes`."""
    text, inside_long = "", False
    for block in blocks:
        text += block
        start, known = 0, len(text.rstrip())
        for gap in PARAGRAPH_GAP.finditer(text):
            if gap.end() >= known:  # the blank lines at the very end may go on in the next block
                break
            pieces, _ = _pieces(text[start : gap.end()], document_bytes, size_of, inside_long, whole=True)
            yield from pieces
            start, inside_long = gap.end(), False
        pieces, text = _pieces(text[start:], document_bytes, size_of, inside_long, whole=False)
        inside_long = inside_long or bool(pieces)
        yield from pieces
    pieces, _ = _pieces(text, document_bytes, size_of, inside_long, whole=True)
    yield from pieces


def _pieces(
    text: str, document_bytes: int, size_of: SizeOf, inside_long: bool, *, whole: bool
) -> tuple[list[str], str]:
    """Cut what is known of a paragraph, and what stays for later.

    `inside_long`: pieces of this paragraph were cut already; `whole`: its end is in `text`. Until the end is known,
    four documents' worth of text is kept back, so that a cut never depends on where a block ended.
    """
    limit = document_bytes * LONGEST_PARAGRAPH
    # A text that normalisation makes much shorter is long by its characters: what is held must have a bound.
    long = inside_long or len(text) > limit * LONGEST_PARAGRAPH or size_of(text) > limit
    pieces: list[str] = []
    if long:
        start = 0
        while len(text) - start > limit or (whole and size_of(text[start:]) > document_bytes):
            end = start + _cut_place(text[start : start + limit], document_bytes, size_of)
            pieces.append(text[start:end])
            start = end
        text = text[start:]
    if whole:
        return ([*pieces, text] if text else pieces), ""
    return pieces, text


def _cut_place(window: str, document_bytes: int, size_of: SizeOf) -> int:
    """How many characters of `window` go into the next piece: at least one."""
    fits = _fitting(window, document_bytes, size_of)
    line = window.rfind("\n", 0, fits) + 1
    if line:
        return line
    sentences = [match.end() for match in SENTENCE_END.finditer(window[:fits])]
    if sentences:
        return sentences[-1]
    return window.rfind(" ", 0, fits) + 1 or max(1, fits)


def _fitting(window: str, document_bytes: int, size_of: SizeOf) -> int:
    """The longest start of `window` whose size is at most `document_bytes`; no accent is cut from its letter."""
    fits = len(window[: document_bytes + 1].encode("utf-8")[:document_bytes].decode("utf-8", "ignore"))
    probe = window[: document_bytes + 2]
    if size_of(probe) != utf8_size(probe):
        low, high = 0, len(window)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if size_of(window[:middle]) <= document_bytes else (low, middle - 1)
        fits = low
    base = fits
    while 0 < base < len(window) and unicodedata.combining(window[base]):
        base -= 1
    return base or fits
