"""Words and word n-grams of a text as 64-bit numbers, whole arrays at a time.

Near duplicates, decontamination and the leakage of a split all ask which n-grams two texts share. A word here is a run
of letters, digits and marks in lower case; quotes, hyphens and line breaks do not count, so two editions that differ in
them share their n-grams. In scripts without spaces between words every character is a word. The numbers are the same
in every process and on every machine. Two different n-grams get the same number with a probability of about 2^-64.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

# Thai to Lao, Burmese, Khmer, kana, bopomofo, Han: written without spaces between words.
UNSPACED_RANGES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3031, 0x3035), (0x3040, 0x312F),
    (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9D),
)  # fmt: skip
SEPARATOR, LETTER, SINGLE = 0, 1, 2
PLANE = 0x10000
# An odd number has an inverse modulo 2^64; this one is 2^64 divided by the golden ratio.
BASE = 0x9E3779B97F4A7C15
WORD_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class WordHashes:
    """The words of a text in order: their numbers and characters [start, end)."""

    values: Hashes
    starts: Positions
    ends: Positions


def word_hashes(text: str) -> WordHashes:
    """The words of `text`."""
    tables = _tables()
    if text.isascii():
        low: NDArray[np.uint8] | NDArray[np.uint32] = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
        kinds, values = tables.kinds[low], tables.values[low]
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        low = codes & np.uint32(PLANE - 1)
        kinds, values = tables.kinds[low], tables.values[low]
        astral = codes >= PLANE
        if astral.any():  # letters of old scripts, rare Han, emoji: each stands for itself
            kinds = np.where(astral, np.uint8(SINGLE), kinds)
            values = np.where(astral, mixed(codes.astype(np.uint64)), values)
    bounded = np.concatenate(([np.uint8(SEPARATOR)], kinds, [np.uint8(SEPARATOR)]))
    inside, before = bounded[1:], bounded[:-1]
    # Letters go on while they follow letters; a single character begins and ends itself.
    border = (inside != before) | (inside == SINGLE)
    starts = np.flatnonzero(border & (inside != SEPARATOR))
    ends = np.flatnonzero(border & (before != SEPARATOR))
    powers, inverses = _powers(len(low) + 1)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(values * powers[: len(low)], dtype=np.uint64)))
    return WordHashes(mixed((sums[ends] - sums[starts]) * inverses[starts]), starts, ends)


def ngram_hashes(words: Hashes, length: int) -> Hashes:
    """The n-grams of `length` words in order; a text of fewer words is one n-gram, one without words has none."""
    if len(words) == 0:
        return words
    length = min(length, len(words))
    count = len(words) - length + 1
    total = np.full(count, length, dtype=np.uint64)
    for place, factor in enumerate(_powers(length + 1)[0][1 : length + 1]):
        total += words[place : place + count] * factor
    return mixed(total)


def mixed(values: Hashes) -> Hashes:
    """A bijection that spreads every bit over all bits (the finaliser of SplitMix64; Steele et al., 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def jaccard(first: Hashes, second: Hashes) -> float:
    """Share of the distinct n-grams of both that both have; two empty texts share nothing."""
    one, other = np.unique(first), np.unique(second)
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0


@dataclass(frozen=True)
class _Tables:
    """By code point of the basic plane: separator, letter or single; the number of its lower-case form."""

    kinds: NDArray[np.uint8]
    values: Hashes


@functools.cache
def _tables() -> _Tables:
    kinds = np.zeros(PLANE, dtype=np.uint8)
    folded = np.arange(PLANE, dtype=np.uint64)
    for code in range(PLANE):
        sign = chr(code)
        if unicodedata.category(sign)[0] in "LNM":
            kinds[code] = LETTER
            lower = sign.lower()
            folded[code] = ord(lower) if len(lower) == 1 else code
    for first, last in UNSPACED_RANGES:
        span = kinds[first : last + 1]
        span[span == LETTER] = SINGLE
    return _Tables(kinds, mixed(folded + np.uint64(BASE)))


def _powers(count: int) -> tuple[Hashes, Hashes]:
    """The powers 0 … of `BASE` and of its inverse modulo 2^64, at least `count` of each."""
    return _power_table(1 << max(13, (count - 1).bit_length()))


@functools.lru_cache(maxsize=4)
def _power_table(count: int) -> tuple[Hashes, Hashes]:
    tables: list[Hashes] = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        table = np.ones(count, dtype=np.uint64)
        table[1:] = np.uint64(base)
        tables.append(np.cumprod(table, dtype=np.uint64))
    return tables[0], tables[1]
