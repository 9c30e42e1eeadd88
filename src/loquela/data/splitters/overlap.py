"""Where a chunk begins that repeats the end of the one before it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

WORD_START = re.compile(r"(?<=\s)\S")
CountTokens = Callable[[str], int]


def begin_by_characters(text: str, before: int, end: int, size: int, overlap: int) -> int:
    """At most `overlap` before `before`, at a word's start if there is one, so that [begin, end) is at most `size`.

    `before` is where the chunk before ends, in characters as everything here.
    """
    earliest = max(0, before - overlap, end - size)
    word = WORD_START.search(text, max(1, earliest), before) if earliest else None
    return word.start() if word else min(earliest, before)


def begin_by_tokens(text: str, start: int, before: int, end: int, size: int, overlap: int, count: CountTokens) -> int:
    """As `begin_by_characters`, with `size` and `overlap` in tokens; [start, before) is the chunk before."""

    def too_early(begin: int) -> bool:
        return count(text[begin:before]) > overlap or count(text[begin:end]) > size

    words = [match.start() for match in WORD_START.finditer(text, max(1, start), before)][-overlap:]
    # Counts fall with every later begin, but for a token here and there: the last steps make sure.
    for begins in (words, range(max(start, before - overlap), before)):
        index = bisect_left(begins, False, key=lambda begin: not too_early(begin))
        while index < len(begins) and too_early(begins[index]):
            index += 1
        if index < len(begins):
            return begins[index]
    return before
