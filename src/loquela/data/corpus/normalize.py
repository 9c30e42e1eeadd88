"""Unicode form, case and control characters: what `data.normalization` asks for, and by how much it changed the text.

Documents are normalised after they are cut, so that their place in the source stays exact. No normalisation form,
lower-casing rule or removal looks across a line feed or a space, where cuts fall: the documents together are the
normalised text.
"""

from __future__ import annotations

from loquela.artifacts.normalization import normalization_steps
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import NormalizationSection


def normalize(text: str, section: NormalizationSection) -> tuple[str, dict[str, int]]:
    """Normalised `text`, and the change in UTF-8 bytes by reason."""
    changes: dict[str, int] = {}
    for reason, after in normalization_steps(text, section):
        if after != text:
            changes[reason] = utf8_size(after) - utf8_size(text)
        text = after
    return text, changes


def normalized_size(text: str, section: NormalizationSection) -> int:
    """UTF-8 bytes of `text` once it is normalised."""
    if text.isascii() and not section.remove_special_chars:
        return len(text)
    return utf8_size(normalize(text, section)[0])


def normalize_document(text: str, section: NormalizationSection, tally: Tally) -> str:
    """`text` normalised, counted under "normalize"; "" when nothing but white space is left."""
    tally.enter("normalize", utf8_size(text), 1)
    text, changes = normalize(text, section)
    for reason, size_bytes in changes.items():
        tally.change("normalize", reason, size_bytes)
    if not text or text.isspace():
        tally.change("normalize", "blank", -utf8_size(text), -1)
        return ""
    tally.leave("normalize", utf8_size(text), 1)
    return text
