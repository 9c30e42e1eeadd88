"""Text of strangers on a terminal: what would move its cursor, colour it or turn letters around is written out."""

from __future__ import annotations

import re

# The control characters but for line end and tab, and those that change the direction of what follows (UAX 9).
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """`text` with every character that a terminal would obey as an escape that one reads."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)
