"""Near duplicates: MinHash signatures in 14 bands of 8 rows, every candidate pair verified, clusters by union.

Two documents whose word 5-grams have the Jaccard similarity J agree in a row of the signature with probability J
(Broder, 1997) and share a band, which makes them candidates, with probability 1 - (1 - J^8)^14: 0.92 at J = 0.8, 0.999
at 0.9 (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3; 14 bands of 8 are those of FineWeb).
A pair is judged by its signatures where these leave no doubt, else by all its n-grams.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loquela.data.corpus.union import Components
from loquela.data.shingles import Hashes, jaccard, mixed, ngram_hashes, word_hashes

NGRAM_WORDS = 5
BANDS, ROWS = 14, 8
PERMUTATIONS = BANDS * ROWS
# Standard deviations of the share of equal rows around J, beyond which nothing is in doubt.
DOUBT = 4.0
# Documents of one bucket are compared with this many different ones before them, so that a bucket costs linear time.
REPRESENTATIVES = 4

Signature = NDArray[np.uint32]
Signatures = NDArray[np.uint32]


class SignatureTable(Protocol):
    """Signatures that need not be in memory."""

    def __len__(self) -> int:
        """How many there are."""

    def band(self, band: int) -> NDArray[np.uint32]:
        """The rows of one band, of all signatures."""

    def row(self, number: int) -> Signature:
        """One signature."""


_SEEDS = mixed(np.arange(1, 2 * PERMUTATIONS + 1, dtype=np.uint64))
_FACTORS = (_SEEDS[:PERMUTATIONS, None] >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
_OFFSETS = (_SEEDS[PERMUTATIONS:, None] >> np.uint64(32)).astype(np.uint32)
# N-grams whose permuted values are held at once: 112 × 4096 × 4 bytes stay in the second-level cache.
BLOCK = 4096


def grams(text: str) -> Hashes:
    """The word 5-grams of `text`."""
    return ngram_hashes(word_hashes(text).values, NGRAM_WORDS)


def signature(shingles: Hashes) -> Signature:
    """The smallest value of each permutation over `shingles`; of no shingles: the largest number there is."""
    least = np.full(PERMUTATIONS, np.iinfo(np.uint32).max, dtype=np.uint32)
    short = (shingles >> np.uint64(32)).astype(np.uint32)
    for start in range(0, len(short), BLOCK):
        permuted = _FACTORS * short[start : start + BLOCK]
        permuted += _OFFSETS
        np.minimum(least, permuted.min(axis=1), out=least)
    return least


@dataclass(frozen=True)
class NearDuplicates:
    """By document: the smallest index in its cluster, and its similarity to the document it was matched with (or 0)."""

    cluster: NDArray[np.int64]
    similarity: NDArray[np.float32]


class InMemory:
    """A table in one array."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures

    def __len__(self) -> int:
        return len(self._signatures)

    def band(self, band: int) -> NDArray[np.uint32]:
        return self._signatures[:, band * ROWS : (band + 1) * ROWS]

    def row(self, number: int) -> Signature:
        found: Signature = self._signatures[number]
        return found


def near_duplicates(
    signatures: Signatures | SignatureTable,
    eligible: NDArray[np.int64],
    threshold: float,
    grams_of: Callable[[int], Hashes],
) -> NearDuplicates:
    """Clusters among the documents `eligible` (rising indices into `signatures`); others stay by themselves.

    `grams_of` gives the n-grams of a document again, for pairs that the signatures leave in doubt.
    """
    table = InMemory(signatures) if isinstance(signatures, np.ndarray) else signatures
    components = Components(len(table))
    similarity = np.zeros(len(table), dtype=np.float32)
    judged: set[tuple[int, int]] = set()
    for bucket in _buckets(table, eligible):
        kept: list[int] = []
        for index in bucket:
            for other in kept:
                if components.same(index, other):
                    break
                if (other, index) in judged:
                    continue
                found = _similarity(table, other, index, threshold, grams_of)
                if found >= threshold:
                    components.join(other, index)
                    similarity[[other, index]] = np.maximum(similarity[[other, index]], found)
                    break
                judged.add((other, index))
            else:
                if len(kept) < REPRESENTATIVES:
                    kept.append(index)
    return NearDuplicates(components.smallest(), similarity)


def _buckets(table: SignatureTable, eligible: NDArray[np.int64]) -> Iterator[list[int]]:
    """Documents that share a band, in rising order; one band is in memory at a time."""
    for band in range(BANDS):
        keys = _band_keys(table.band(band)[eligible])
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        borders = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
        for start, end in itertools.pairwise(borders.tolist()):
            if end - start > 1:
                yield eligible[order[start:end]].tolist()


def _band_keys(rows: NDArray[np.uint32]) -> Hashes:
    """One number for the rows of a band, of every signature."""
    keys = np.zeros(len(rows), dtype=np.uint64)
    for place in range(ROWS):
        keys += rows[:, place] * (_SEEDS[place] | np.uint64(1))
    return mixed(keys)


def _similarity(
    table: SignatureTable, first: int, second: int, threshold: float, grams_of: Callable[[int], Hashes]
) -> float:
    estimate = float((table.row(first) == table.row(second)).mean())
    if abs(estimate - threshold) > DOUBT * math.sqrt(threshold * (1 - threshold) / PERMUTATIONS):
        return estimate
    return jaccard(grams_of(first), grams_of(second))
