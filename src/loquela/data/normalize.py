"""Unicode form, case and control characters: what `data.normalization` asks for, and by how much it changed the text.

A text is normalised in blocks of whole lines. No normalisation form, lower-casing rule or removal looks across a
line feed, so the blocks together are the normalised text.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterator

from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import NormalizationSection

BLOCK_CHARACTERS = 1 << 20
# A line this long is cut at a space, which no form or rule looks across either, so that memory stays flat.
LONGEST_LINE = 1 << 24


def normalize(text: str, section: NormalizationSection) -> tuple[str, dict[str, int]]:
    """Normalised `text`, and the change in UTF-8 bytes by reason."""
    changes: dict[str, int] = {}
    if section.unicode == "nfc":
        text = _changed(text, unicodedata.normalize("NFC", text), "nfc", changes)
    if section.unicode == "nfkc":
        text = _changed(text, unicodedata.normalize("NFKC", text), "nfkc", changes)
    if section.lowercase:
        text = _changed(text, text.lower(), "lowercase", changes)
    if section.remove_special_chars:
        text = _changed(text, _special_characters().sub("", text), "special_characters_removed", changes)
    return text, changes


def _changed(before: str, after: str, reason: str, changes: dict[str, int]) -> str:
    if after != before:
        changes[reason] = utf8_size(after) - utf8_size(before)
    return after


@functools.cache
def _special_characters() -> re.Pattern[str]:
    """Control and format characters (Unicode categories Cc and Cf) but tab and newline."""
    special = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf") and chr(code) not in "\t\n"
    ]
    return re.compile("[" + re.escape("".join(special)) + "]+")


def normalized(pieces: Iterator[str], section: NormalizationSection, tally: Tally) -> Iterator[str]:
    """Stream `pieces` of one text, normalised, counted under "normalize"."""
    for block in line_blocks(pieces):
        tally.enter("normalize", utf8_size(block))
        text, changes = normalize(block, section)
        for reason, size_bytes in changes.items():
            tally.change("normalize", reason, size_bytes)
        tally.leave("normalize", utf8_size(text))
        yield text


def line_blocks(pieces: Iterator[str]) -> Iterator[str]:
    """Regroup `pieces` into blocks that end at a line end (the last one may not)."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size < BLOCK_CHARACTERS:
            continue
        text = "".join(held)
        end = text.rfind("\n") + 1
        if end == 0 and size > LONGEST_LINE:
            end = text.rfind(" ") + 1
        if end:
            yield text[:end]
        held, size = [text[end:]], len(text) - end
    rest = "".join(held)
    if rest:
        yield rest
