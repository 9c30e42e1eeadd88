"""Characters that nobody sees: what `data.validation.sanitize` takes out, each counted under its own reason."""

from __future__ import annotations

import re

from loquela.data.tally import utf8_size
from loquela.recipe.validation_section import SanitizeOptions

_REMOVED = {
    "surrogates": re.compile("[\ud800-\udfff]"),
    "control_characters": re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]"),
    "byte_order_marks": re.compile("\ufeff"),
    # The zero-width joiners U+200C and U+200D belong to the spelling of Persian, Hindi and emoji and stay.
    "zero_width": re.compile("[\u00ad\u200b\u2060-\u2064\u180e]"),
    "direction_marks": re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"),
    "trailing_spaces": re.compile("(?<![ \t\u00a0])[ \t\u00a0]+(?=\n|$)"),
}


def sanitized(text: str, options: SanitizeOptions) -> tuple[str, dict[str, int]]:
    """`text` without what `options` name, and the change in UTF-8 bytes by reason; an unpaired surrogate counts 3."""
    changes: dict[str, int] = {}
    if text.isascii() and text.isprintable() and not text.endswith(" "):
        return text, changes
    wanted = options.model_dump()
    for reason, pattern in _REMOVED.items():
        if wanted[reason] and pattern.search(text):
            after = pattern.sub("", text)
            changes[reason] = _size(after) - _size(text)
            text = after
    return text, changes


def has_surrogate(text: str) -> bool:
    """Whether an unpaired surrogate is left, which no UTF-8 file can hold."""
    return not text.isascii() and _REMOVED["surrogates"].search(text) is not None


def _size(text: str) -> int:
    try:
        return utf8_size(text)
    except UnicodeEncodeError:
        return len(text.encode("utf-8", "surrogatepass"))
