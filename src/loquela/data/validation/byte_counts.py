"""The rule set `basic`: counts over UTF-8 bytes, one comparison for a whole block of them at a time.

A chunk of a megabyte costs well under a millisecond, so this is what chunks are judged by. Every count is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SPACE = 0x20
# Blocks of this size, their mask and their shifted copy stay in the first two levels of cache.
BLOCK_BYTES = 1 << 18
# What is counted: bytes from `first`, `size` values wide; white space and controls apart from these.
TAB_AND_LINE_FEED, CAPITALS, SMALL, DIGITS = (0x09, 2), (0x41, 26), (0x61, 26), (0x30, 10)
PAGE_LAYOUT = (0x0C, 2)  # form feed and carriage return
DELETE = (0x7F, 1)
CHARACTERS_BEYOND_ASCII = (0xC0, 64)  # the first byte of each; those that follow it are 0x80 to 0xBF


class ByteCounts:
    """Counts the classes of bytes of one text after another, in memory that it keeps."""

    def __init__(self) -> None:
        self._mask: Mask = np.empty(BLOCK_BYTES, dtype=np.bool_)
        self._shifted: Bytes = np.empty(BLOCK_BYTES, dtype=np.uint8)

    def values(self, text: str, data: bytes) -> dict[str, float]:
        """The rules of `basic` for `text`, whose UTF-8 bytes are `data`."""
        blank = low = runs = layout = capitals = small = digits = beyond = 0
        after_blank = True
        everything = np.frombuffer(data, dtype=np.uint8)
        for start in range(0, len(data), BLOCK_BYTES):
            block = everything[start : start + BLOCK_BYTES]
            mask = self._mask[: len(block)]
            low += int(np.count_nonzero(np.less(block, SPACE, out=mask)))
            blank += int(np.count_nonzero(np.less_equal(block, SPACE, out=mask)))
            runs += int(np.count_nonzero(mask[:-1] > mask[1:])) + int(after_blank and not mask[0])
            after_blank = bool(mask[-1])
            layout += self._count(block, TAB_AND_LINE_FEED)
            capitals += self._count(block, CAPITALS)
            small += self._count(block, SMALL)
            digits += self._count(block, DIGITS)
            beyond += self._count(block, CHARACTERS_BEYOND_ASCII)
        characters = len(text)
        # Most texts have no control character at all; then these two counts are not needed.
        controls = low - layout - (self._total(everything, PAGE_LAYOUT) if low > layout else 0)
        controls += self._total(everything, DELETE)
        visible = characters - blank
        letters = capitals + small + beyond
        return {
            "basic.letters": letters / max(1, visible),
            "basic.digits": digits / max(1, visible),
            "basic.punctuation": (visible - letters - digits) / max(1, visible),
            "basic.uppercase": capitals / max(1, capitals + small),
            "basic.whitespace_min": blank / max(1, characters),
            "basic.whitespace_max": blank / max(1, characters),
            "basic.mean_run": visible / max(1, runs),
            "basic.controls": controls / max(1, characters),
            "basic.replacements": text.count("\ufffd") / max(1, characters),
        }

    def _count(self, block: Bytes, values: tuple[int, int]) -> int:
        """How many bytes of `block` are one of the `size` values from `first`; uint8 wraps below zero."""
        first, size = values
        shifted, mask = self._shifted[: len(block)], self._mask[: len(block)]
        np.subtract(block, np.uint8(first), out=shifted)
        return int(np.count_nonzero(np.less(shifted, size, out=mask)))

    def _total(self, everything: Bytes, values: tuple[int, int]) -> int:
        blocks = range(0, len(everything), BLOCK_BYTES)
        return sum(self._count(everything[start : start + BLOCK_BYTES], values) for start in blocks)
