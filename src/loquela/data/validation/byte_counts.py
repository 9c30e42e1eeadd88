"""The rule set `basic`: counts over UTF-8 bytes, one comparison for a whole block of them at a time.

A chunk of a megabyte costs well under a millisecond, so this is what chunks are judged by. Every count is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Blocks of this size, their masks and their shifted copy stay in the first two levels of cache.
BLOCK_BYTES = 1 << 18
SPACE, TAB, LINE_FEED, DELETE = 0x20, 0x09, 0x0A, 0x7F
CAPITALS, SMALL, DIGITS = (0x41, 26), (0x61, 26), (0x30, 10)  # the first byte and how many follow
# As signed numbers, bytes beyond ASCII are below 0, and those inside a character (0x80 to 0xBF) below -64.
BEYOND_ASCII, INSIDE_CHARACTER = 0, -64
REPLACEMENT = b"\xef\xbf\xbd"


class ByteCounts:
    """Counts the classes of bytes of one text after another, in memory that it keeps."""

    def __init__(self) -> None:
        self._mask: Mask = np.empty(BLOCK_BYTES, dtype=np.bool_)
        self._edges: Mask = np.empty(BLOCK_BYTES, dtype=np.bool_)
        self._shifted: Bytes = np.empty(BLOCK_BYTES, dtype=np.uint8)

    def values(self, data: bytes) -> dict[str, float]:
        """The rules of `basic` for a text whose UTF-8 bytes are `data`."""
        blank = low = runs = line_feeds = capitals = small = digits = beyond = inside = 0
        after_blank = True
        everything = np.frombuffer(data, dtype=np.uint8)
        plain = data.isascii()
        for start in range(0, len(data), BLOCK_BYTES):
            block = everything[start : start + BLOCK_BYTES]
            mask = self._mask[: len(block)]
            low += _true(np.less(block, SPACE, out=mask))
            line_feeds += _true(np.equal(block, LINE_FEED, out=mask))
            if not plain:
                signed = block.view(np.int8)
                beyond += _true(np.less(signed, BEYOND_ASCII, out=mask))
                inside += _true(np.less(signed, INSIDE_CHARACTER, out=mask))
            blank += _true(np.less_equal(block, SPACE, out=mask))
            runs += _true(np.greater(mask[:-1], mask[1:], out=self._edges[: len(block) - 1]))
            runs += int(after_blank and not mask[0])
            after_blank = bool(mask[-1])
            capitals += self._count(block, CAPITALS)
            small += self._count(block, SMALL)
            digits += self._count(block, DIGITS)
        characters = len(data) - inside
        visible = characters - blank
        letters = capitals + small + beyond - inside
        # A byte that is not there at all is found missing faster than it is counted.
        controls = low - line_feeds - (data.count(TAB) if TAB in data else 0)
        controls -= sum(map(data.count, b"\f\r")) if controls else 0
        controls += data.count(DELETE) if DELETE in data else 0
        replacements = data.count(REPLACEMENT) if REPLACEMENT[0] in data else 0
        return {
            "basic.letters": letters / max(1, visible),
            "basic.digits": digits / max(1, visible),
            "basic.punctuation": (visible - letters - digits) / max(1, visible),
            "basic.uppercase": capitals / max(1, capitals + small),
            "basic.whitespace_min": blank / max(1, characters),
            "basic.whitespace_max": blank / max(1, characters),
            "basic.mean_run": visible / max(1, runs),
            "basic.controls": controls / max(1, characters),
            "basic.replacements": replacements / max(1, characters),
        }

    def _count(self, block: Bytes, values: tuple[int, int]) -> int:
        """How many bytes of `block` are one of the `size` values from `first`; uint8 wraps below zero."""
        first, size = values
        shifted = np.subtract(block, np.uint8(first), out=self._shifted[: len(block)])
        return _true(np.less(shifted, size, out=self._mask[: len(block)]))


def _true(mask: Mask) -> int:
    return int(np.count_nonzero(mask))
