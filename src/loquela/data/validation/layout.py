"""A text as its filters see it: words, and lines with the hard wraps undone.

Books and plain-text mail break lines at a fixed width. Rules made for web pages, where a line is a paragraph, take
such a text for a list and delete it (fineweb keeps 106 of 400 pieces of Gutenberg books as they stand).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from loquela.core.text.words import Words

# Lines longer than this were not broken for a page or a terminal.
WIDEST_PAGE = 100
NARROWEST_PAGE = 30
# A text is hard-wrapped when at least this share of the line breaks inside its paragraphs stand where the next word
# no longer fitted; verse, lists and tables break far from the edge.
WRAPPED_SHARE = 0.6
SLACK = 0.85  # ragged margins: a line counts as full from this share of the page's width on
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Line:
    """One line of `text` as it is judged; it stands on the lines [first, last] of the text."""

    text: str
    first: int
    last: int


class Layout:
    """`text` with its words, its paragraphs and the lines to judge."""

    def __init__(self, words: Words, *, unwrap: bool) -> None:
        self.words = words
        self.text = words.text
        self.unwraps = unwrap

    @cached_property
    def lines(self) -> list[Line]:
        """The lines that hold anything, joined to paragraphs where the text is hard-wrapped."""
        raw = self.words.lines
        width = page_width(raw) if self.unwraps else None
        found: list[Line] = []
        joined: list[str] = []
        for number, line in enumerate(raw):
            if not line or line.isspace():
                continue
            joined.append(line)
            following = raw[number + 1] if number + 1 < len(raw) else ""
            if width is None or not _broken_by_width(line, following, width):
                found.append(Line(" ".join(joined) if len(joined) > 1 else line, number - len(joined) + 1, number))
                joined = []
        return found

    @cached_property
    def contents(self) -> list[str]:
        """The text of `lines`."""
        return [line.text for line in self.lines]

    @cached_property
    def line_feeds(self) -> int:
        """Line feeds of the text without those that only wrap it."""
        return self.text.count("\n") - sum(line.last - line.first for line in self.lines)

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        return _PARAGRAPH.split(self.text.strip())

    @cached_property
    def word_characters(self) -> int:
        """Characters of all words."""
        return len("".join(self.words.words))


def page_width(lines: list[str]) -> int | None:
    """Characters that the lines were broken at, or None for a text that is not hard-wrapped."""
    lengths = sorted(len(line) for line in lines if line and not line.isspace())
    if len(lengths) < 3:
        return None
    width = lengths[int(len(lengths) * 0.98)]
    if not NARROWEST_PAGE <= width <= WIDEST_PAGE:
        return None
    breaks = [pair for pair in pairwise(lines) if pair[0].strip() and pair[1].strip()]
    full = sum(_broken_by_width(line, following, width) for line, following in breaks)
    return width if breaks and full >= WRAPPED_SHARE * len(breaks) else None


def _broken_by_width(line: str, following: str, width: int) -> bool:
    """Whether the first word of the next line would not have fitted on this one."""
    first = following.split(maxsplit=1)[:1]
    return bool(first) and len(line) + 1 + len(first[0]) > SLACK * width
