"""Documents with equal keys are looked for among those whose keys begin alike, so that never all are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# About as many documents begin alike; with more than 64 times as many, more do.
PREFIX_DOCUMENTS = 1 << 15
MOST_BITS = 6


@dataclass(frozen=True)
class Prefix:
    """The first `bits` bits of a key are `value`."""

    value: int
    bits: int

    def of(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The places in `keys` of those that begin with it."""
        if self.bits == 0:
            return np.arange(len(keys))
        return np.flatnonzero(keys >> np.uint64(64 - self.bits) == np.uint64(self.value))


def prefixes(count: int) -> Iterator[Prefix]:
    """What `count` evenly spread keys begin with, rising."""
    bits = min(MOST_BITS, (count // PREFIX_DOCUMENTS).bit_length())
    for value in range(1 << bits):
        yield Prefix(value, bits)
