"""Gopher's repetition rules (Rae et al. 2021, table A1); shares are of all characters of the text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from loquela.data.shingles import Hashes, ngram_hashes
from loquela.data.validation.layout import Layout

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


def measure(layout: Layout) -> dict[str, float]:
    """Every rule's value."""
    characters = max(1, len(layout.text))
    values: dict[str, float] = {}
    for name, parts in (("paragraph", layout.paragraphs), ("line", layout.contents)):
        repeated, size = repeated_parts(parts)
        values[f"duplicate_{name}s"] = repeated / max(1, len(parts))
        values[f"duplicate_{name}_characters"] = size / characters
    words = layout.words.words
    index = {word: number for number, word in enumerate(dict.fromkeys(words))}
    numbers = np.fromiter(map(index.__getitem__, words), dtype=np.uint64, count=len(words))
    ends = [0, *accumulate(map(len, words))]
    for size in TOP_SIZES:
        values[f"top_{size}_gram"] = _top(numbers, ends, size) / characters
    repeats = True
    for size in DUPLICATE_SIZES:
        # A sequence that repeats holds a shorter one that repeats.
        found = _duplicates(numbers, ends, size) if repeats else 0
        repeats = found > 0
        values[f"duplicate_{size}_grams"] = found / characters
    return {f"gopher_repetition.{name}": float(value) for name, value in values.items()}


def repeated_parts(parts: Sequence[str]) -> tuple[int, int]:
    """How many of `parts` were seen before, and their characters."""
    if len(set(parts)) == len(parts):
        return 0, 0
    seen: set[str] = set()
    count = size = 0
    for part in parts:
        if part in seen:
            count += 1
            size += len(part)
        seen.add(part)
    return count, size


def _top(numbers: Hashes, ends: list[int], size: int) -> int:
    """Characters that the most frequent sequence covers, the spaces between its words included; the first of equals."""
    if len(numbers) < size:
        return 0
    _, firsts, counts = np.unique(ngram_hashes(numbers, size), return_index=True, return_counts=True)
    most = int(counts.max())
    first = int(firsts[counts == most].min())
    return (ends[first + size] - ends[first] + size - 1) * most


def _duplicates(numbers: Hashes, ends: list[int], size: int) -> int:
    """Characters in sequences seen before; one that was counted is passed over whole."""
    if len(numbers) < size:
        return 0
    grams = ngram_hashes(numbers, size)
    if not _any_twice(grams):
        return 0
    seen: set[int] = set()
    total = place = 0
    listed = grams.tolist()
    while place < len(listed):
        if listed[place] in seen:
            total += ends[place + size] - ends[place]
            place += size
        else:
            seen.add(listed[place])
            place += 1
    return total


def _any_twice(values: NDArray[np.uint64]) -> bool:
    ordered = np.sort(values)
    return bool((ordered[1:] == ordered[:-1]).any())
