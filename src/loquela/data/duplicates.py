"""Exact duplicates among all documents: the first of those with the same key stays."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from loquela.data.spool import Rows


def folded(text: str) -> str:
    """`text` in compatibility form, without case, with single spaces: what `data.duplicates.fold` compares."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def first_with_same_key(rows: Rows) -> NDArray[np.int64]:
    """For every document, the first one that has its key (itself when there is none before)."""
    high, low = rows["key"][:, 0], rows["key"][:, 1]
    order = np.lexsort((np.arange(len(rows)), low, high))
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    leaders = order[np.flatnonzero(new)]
    first = np.empty(len(rows), dtype=np.int64)
    first[order] = leaders[np.cumsum(new) - 1]
    return first
