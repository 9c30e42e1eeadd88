"""The one tokenisation pass that every filter, the near-duplicate search and the evidence checks share.

A word is a run of letters, digits, marks and underscores; an apostrophe inside it belongs to it ("don't"), a hyphen
divides ("bien", "être"). Scripts that are written without spaces between words (Chinese, Japanese, Thai, Khmer, …) fall
back to one word a character. Everything is computed when it is first asked for, and once.
"""

from __future__ import annotations

import re
from functools import cached_property

# Scripts without word spaces: Thai to Lao, Burmese, Khmer, kana, bopomofo, Han and its extensions.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3031-\u3035\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)
# Combining marks that `\w` leaves out: Latin, Cyrillic, Hebrew, Arabic, the Indic scripts, and the two joiners.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f"
    "\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd"
    "\u0b01-\u0b03\u0b3c-\u0b4d\u0b82\u0bbe-\u0bcd\u0c00-\u0c04\u0c3e-\u0c4d\u0c81-\u0c83\u0cbc-\u0ccd\u0d00-\u0d03"
    "\u0d3b-\u0d4d\u0f71-\u0f84\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20f0\ufe20-\ufe2f"
)
_PLAIN = re.compile(r"\w+(?:['’]\w+)*")
_UNICODE = re.compile(rf"[{_UNSPACED}]|(?:[^\W{_UNSPACED}]|[{_MARKS}])+(?:['’](?:[^\W{_UNSPACED}]|[{_MARKS}])+)*")
_NEEDS_UNICODE = re.compile(rf"[{_UNSPACED}{_MARKS}]")


class Words:
    """The parts of `text`, computed lazily and once."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        """`text` cut at its line feeds; an empty text is one empty line."""
        return self.text.split("\n")

    @cached_property
    def words(self) -> list[str]:
        """The words in order, as they stand."""
        if self.text.isascii() or not _NEEDS_UNICODE.search(self.text):
            return _PLAIN.findall(self.text)
        return _UNICODE.findall(self.text)

    @cached_property
    def lower_words(self) -> list[str]:
        """The words in order, in lower case."""
        # One call for all: a word never holds a line feed, and no lower-casing rule looks across one.
        return "\n".join(self.words).lower().split("\n") if self.words else []
