"""Near duplicates: MinHash signatures in 14 bands of 8 rows, every candidate pair verified, clusters by union.

Two documents whose word 5-grams have the Jaccard similarity J agree in a row of the signature with probability J
(Broder, 1997) and share a band, which makes them candidates, with probability 1 - (1 - J^8)^14: 0.92 at J = 0.8, 0.999
at 0.9 (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3; 14 bands of 8 are those of FineWeb).
A pair is judged by its signatures where these leave no doubt, else by all its n-grams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loquela.data.corpus.columns import BLOCK_DOCUMENTS, Columns
from loquela.data.corpus.prefixes import Prefix, prefixes
from loquela.data.corpus.union import Components
from loquela.data.shingles import Hashes, jaccard, mixed, ngram_hashes, word_hashes

NGRAM_WORDS = 5
BANDS, ROWS = 14, 8
PERMUTATIONS = BANDS * ROWS
# Standard deviations of the share of equal rows around J, beyond which nothing is in doubt.
DOUBT = 4.0
# Documents of one bucket are compared with this many different ones before them, so that a bucket costs linear time.
REPRESENTATIVES = 4
# A pair that is met in another band and forgotten is compared again: 1 MB for those that are remembered.
REMEMBERED_PAIRS = 1 << 16

Signature = NDArray[np.uint32]
Signatures = NDArray[np.uint32]


class SignatureTable(Protocol):
    """Signatures that need not be in memory."""

    def __len__(self) -> int:
        """How many there are."""

    def blocks(self) -> Iterator[tuple[int, Signatures]]:
        """All in order, some at a time, with the number of the first."""

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

    def blocks(self) -> Iterator[tuple[int, Signatures]]:
        yield 0, self._signatures

    def row(self, number: int) -> Signature:
        found: Signature = self._signatures[number]
        return found


class _Judged:
    """Pairs that were found not to be alike, so that they are not compared again; late ones displace early ones."""

    def __init__(self) -> None:
        self._pairs = np.full((REMEMBERED_PAIRS, 2), -1, dtype=np.int64)

    def __contains__(self, pair: tuple[int, int]) -> bool:
        first, second = self._pairs[hash(pair) % REMEMBERED_PAIRS].tolist()
        return (first, second) == pair

    def add(self, pair: tuple[int, int]) -> None:
        self._pairs[hash(pair) % REMEMBERED_PAIRS] = pair


def near_duplicates(
    signatures: Signatures | SignatureTable,
    eligible: NDArray[np.int64],
    threshold: float,
    grams_of: Callable[[int], Hashes],
    columns: Columns | None = None,
) -> NearDuplicates:
    """Clusters among the documents `eligible` (rising indices into `signatures`); others stay by themselves.

    `grams_of` gives the n-grams of a document again, for pairs that the signatures leave in doubt. The result lies in
    `columns`; without, all is in memory. Raises what `Columns.make` raises.
    """
    table = InMemory(signatures) if isinstance(signatures, np.ndarray) else signatures
    columns = columns or Columns(None, len(table))
    cluster, similarity = columns.numbers(), columns.make(np.float32)
    components = Components(cluster)
    judged = _Judged()
    for bucket in _buckets(table, eligible, columns):
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


def _buckets(table: SignatureTable, eligible: NDArray[np.int64], columns: Columns) -> Iterator[Iterator[int]]:
    """Documents that share a band, in rising order; the keys of some are in memory at a time."""
    bands = Columns(columns.directory, len(table))
    keys_of = [bands.make(np.uint64) for _ in range(BANDS)]
    for start, rows in table.blocks():
        for band, keys in enumerate(keys_of):
            keys[start : start + len(rows)] = _band_keys(rows[:, band * ROWS : (band + 1) * ROWS])
            # After each band: what is written to maps megabytes around it.
            bands.release()
    for keys in keys_of:
        for prefix in prefixes(len(eligible)):
            chosen, members = _beginning(prefix, keys, eligible, [bands, columns])
            order = np.argsort(chosen, kind="stable")
            ordered = chosen[order]
            borders = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
            shared = np.flatnonzero(np.diff(borders) > 1)
            for start, end in zip(borders[shared].tolist(), borders[shared + 1].tolist(), strict=True):
                yield _one_by_one(members[order[start:end]])


def _beginning(
    prefix: Prefix, keys: NDArray[np.uint64], eligible: NDArray[np.int64], looked_at: list[Columns]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The keys that begin with `prefix`, and which of `eligible` have them; then `looked_at` leave memory."""
    found, members = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(eligible), BLOCK_DOCUMENTS):
        block = eligible[start : start + BLOCK_DOCUMENTS]
        block_keys = keys[block]
        chosen = prefix.of(block_keys)
        found.append(block_keys[chosen])
        members.append(block[chosen])
        for columns in looked_at:
            columns.release()
    return np.concatenate(found), np.concatenate(members)


def _one_by_one(numbers: NDArray[np.int64]) -> Iterator[int]:
    for start in range(0, len(numbers), BLOCK):
        yield from numbers[start : start + BLOCK].tolist()


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
