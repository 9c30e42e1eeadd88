"""Unicode form, case and control characters: what `data.normalization` asks for, and by how much it changed the text.

A text is normalised in blocks of whole lines. No normalisation form, lower-casing rule or removal looks across a
line feed, so the blocks together are the normalised text.
"""

from __future__ import annotations

from collections.abc import Iterator

from loquela.artifacts.normalization import normalization_steps
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import NormalizationSection

BLOCK_CHARACTERS = 1 << 20
# A line this long is cut at a space, which no form or rule looks across either, so that memory stays flat.
LONGEST_LINE = 1 << 24


def normalize(text: str, section: NormalizationSection) -> tuple[str, dict[str, int]]:
    """Normalised `text`, and the change in UTF-8 bytes by reason."""
    changes: dict[str, int] = {}
    for reason, after in normalization_steps(text, section):
        if after != text:
            changes[reason] = utf8_size(after) - utf8_size(text)
        text = after
    return text, changes


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
