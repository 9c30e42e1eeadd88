"""How long the texts are, in tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from loquela.core.model import BoundaryModel

SMALLEST_BIN = 16


class LengthReport(BoundaryModel):
    """Of all texts before anything is cut: percentiles, and how many have at most so many tokens (and more than the
    bin before). `over_limit` have more than `limit`.
    """

    texts: int
    minimum: int = 0
    p50: int = 0
    p90: int = 0
    p99: int = 0
    maximum: int = 0
    mean: float = 0.0
    limit: int | None = None
    over_limit: int = 0
    histogram: dict[str, int] = Field(default_factory=dict, description="upper bound in tokens → texts")


def length_report(lengths: Sequence[int], limit: int | None) -> LengthReport:
    """Measure `lengths`."""
    if not lengths:
        return LengthReport(texts=0, limit=limit)
    found = np.asarray(lengths, dtype=np.int64)
    p50, p90, p99 = (int(value) for value in np.percentile(found, [50, 90, 99], method="higher"))
    histogram: dict[str, int] = {}
    low, high = -1, SMALLEST_BIN
    while low < int(found.max()):
        histogram[str(high)] = int(np.count_nonzero((found > low) & (found <= high)))
        low, high = high, high * 2
    return LengthReport(
        texts=len(found),
        minimum=int(found.min()),
        p50=p50,
        p90=p90,
        p99=p99,
        maximum=int(found.max()),
        mean=round(float(found.mean()), 1),
        limit=limit,
        over_limit=0 if limit is None else int(np.count_nonzero(found > limit)),
        histogram=histogram,
    )
