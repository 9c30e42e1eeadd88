"""How long the texts are, in tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loquela.artifacts.examples_facts import LengthReport

SMALLEST_BIN = 16


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
