"""Example order as a function: which example stands at a place of an epoch, without a list of all examples.

Order is a function, not a state. A permutation of `count` examples is computed place by place, in O(1) time
and memory, from (data digest, seed, epoch); a checkpoint stores one integer, and any number of ranks agree.

Method: the generalised Feistel cipher with cycle walking of J. Black and P. Rogaway, "Ciphers with Arbitrary
Finite Domains" (CT-RSA 2002, methods 2 and 3). The domain is a grid of `columns` × `rows` cells that is less
than one column larger than `count`; a place that lands outside [0, count) is enciphered again until it is
inside, which keeps it a bijection. Round keys are SHA-256 of the inputs; the round function is the finaliser
of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).

`example_index` is the definition; `example_indices` is the same function on many places at once.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loquela.core.errors import ErrorCode, InternalError

Places = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# Changing anything below changes the order of every run: raise the version with it.
ORDER_VERSION = "loquela.order.v1"
ROUNDS = 8
MASK = (1 << 64) - 1
MULTIPLIER_1 = 0xBF58476D1CE4E5B9
MULTIPLIER_2 = 0x94D049BB133111EB
# A product of a 32-bit hash and a side of the grid must fit 64 bits.
COUNT_MAX = 1 << 62


@dataclass(frozen=True)
class Permutation:
    """The keys and the grid of one epoch's order; `columns * rows >= count`."""

    keys: tuple[int, ...]
    count: int
    columns: int
    rows: int


@functools.lru_cache(maxsize=64)
def permutation(data_digest: str, seed: int, epoch: int, count: int) -> Permutation:
    """The permutation of `count` examples in `epoch`; InternalError(INTERNAL) for an impossible count."""
    if not 0 < count <= COUNT_MAX:
        raise InternalError(
            ErrorCode.INTERNAL, f"no order exists for {count} examples", "report this with the recipe that caused it"
        )
    material = b""
    while len(material) < 8 * ROUNDS:
        text = f"{ORDER_VERSION}\0{data_digest}\0{seed}\0{epoch}\0{count}\0{len(material)}"
        material += hashlib.sha256(text.encode("utf-8")).digest()
    keys = tuple(int.from_bytes(material[8 * i : 8 * i + 8], "little") for i in range(ROUNDS))
    columns = math.isqrt(count - 1) + 1
    return Permutation(keys, count, columns, -(-count // columns))


def example_index(data_digest: str, seed: int, epoch: int, index: int, count: int) -> int:
    """Which of `count` examples stands at place `index` of `epoch`; InternalError(INTERNAL) outside [0, count)."""
    order = permutation(data_digest, seed, epoch, count)
    if not 0 <= index < count:
        raise outside(index, count)
    place = _encipher(order, index)
    while place >= count:
        place = _encipher(order, place)
    return place


def example_indices(data_digest: str, seed: int, epoch: int, places: Places, count: int) -> Places:
    """`example_index` of every element of `places` (int64, any length); the same numbers, vectorised."""
    order = permutation(data_digest, seed, epoch, count)
    if places.size and not (0 <= int(places.min()) and int(places.max()) < count):
        raise outside(int(places.min()) if int(places.min()) < 0 else int(places.max()), count)
    found = _encipher_words(order, places.astype(np.uint64))
    while (outside_now := np.flatnonzero(found >= np.uint64(count))).size:
        found[outside_now] = _encipher_words(order, found[outside_now])
    return found.astype(np.int64)


def outside(index: int, count: int) -> InternalError:
    """The error for a place that the epoch does not have."""
    return InternalError(
        ErrorCode.INTERNAL,
        f"place {index} is outside an epoch of {count} examples",
        "report this with the recipe that caused it",
    )


def _encipher(order: Permutation, place: int) -> int:
    """One pass over the grid. Even rounds move the column by a hash of the row, odd rounds the other way."""
    column, row = place % order.columns, place // order.columns
    for number, key in enumerate(order.keys):
        if number % 2 == 0:
            column = (column + _below(_mix(row, key), order.columns)) % order.columns
        else:
            row = (row + _below(_mix(column, key), order.rows)) % order.rows
    return row * order.columns + column


def _mix(value: int, key: int) -> int:
    """SplitMix64's finaliser of (value + key) modulo 2^64."""
    z = (value + key) & MASK
    z = ((z ^ (z >> 30)) * MULTIPLIER_1) & MASK
    z = ((z ^ (z >> 27)) * MULTIPLIER_2) & MASK
    return z ^ (z >> 31)


def _below(word: int, side: int) -> int:
    """The upper half of `word` scaled to [0, side), by multiplication (side <= 2^31)."""
    return ((word >> 32) * side) >> 32


def _encipher_words(order: Permutation, places: Words) -> Words:
    """`_encipher` on uint64 arrays."""
    columns, rows = np.uint64(order.columns), np.uint64(order.rows)
    row, column = np.divmod(places, columns)
    for number, key in enumerate(order.keys):
        if number % 2 == 0:
            column = _wrapped_sum(column, _below_words(_mix_words(row, key), columns), columns)
        else:
            row = _wrapped_sum(row, _below_words(_mix_words(column, key), rows), rows)
    total: Words = row * columns + column
    return total


def _mix_words(values: Words, key: int) -> Words:
    z: Words = values + np.uint64(key)
    z ^= z >> np.uint64(30)
    z *= np.uint64(MULTIPLIER_1)
    z ^= z >> np.uint64(27)
    z *= np.uint64(MULTIPLIER_2)
    z ^= z >> np.uint64(31)
    return z


def _below_words(words: Words, side: np.uint64) -> Words:
    words >>= np.uint64(32)
    words *= side
    words >>= np.uint64(32)
    return words


def _wrapped_sum(left: Words, right: Words, side: np.uint64) -> Words:
    """(left + right) modulo `side`, both below it: one subtraction is cheaper than a division."""
    right += left
    right -= side * (right >= side)
    return right
