"""Exact duplicates among all documents: the first of those with the same key stays."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray


def folded(text: str) -> str:
    """`text` in compatibility form, without case, with single spaces: what `data.duplicates.fold` compares."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def first_with_same_key(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For every document, the first one that has its key (itself when there is none before); `keys` in two halves."""
    order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    new = np.ones(len(keys), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    leaders = order[np.flatnonzero(new)]
    first = np.empty(len(keys), dtype=np.int64)
    first[order] = leaders[np.cumsum(new) - 1]
    return first
