"""How sure is a difference? Paired bootstrap: units are drawn again with replacement, for both sides alike.

A unit is a row with all that reword it, since those are right or wrong together. Every measure is a ratio of sums over
units, Σ value / Σ weight, so that a mean over only some rows, a precision or a loss per token are drawn alike
(Efron and Tibshirani 1993, chapter 13: percentile intervals).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
# With fewer units the drawn samples say too little about those that were not seen.
UNITS_MIN = 8
_COUNTS_AT_ONCE = 4_000_000

Floats = NDArray[np.float64]
Transform = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Sums:
    """Of one side, per unit: sum of values times weights, and sum of weights; 0 and 0 where nothing was measured."""

    values: Floats
    weights: Floats


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its 95 % interval; None where there was nothing to measure."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Paired:
    """Both sides and adapter − base; `units` had a number on either side."""

    base: Interval
    adapter: Interval
    difference: Interval
    units: int


def same(values: Floats) -> Floats:
    """The transform of a plain mean."""
    return values


def paired_bootstrap(base: Sums, adapter: Sums, *, samples: int, seed: int, transform: Transform = same) -> Paired:
    """Measure both sides and their difference; equal arguments give equal numbers.

    `transform` turns the ratio into the measure (exp for a perplexity).
    """
    measured = (base.weights > 0) | (adapter.weights > 0)
    parts = [array[measured] for array in (base.values, base.weights, adapter.values, adapter.weights)]
    units = int(measured.sum())
    if units == 0:
        nothing = Interval(None, None, None)
        return Paired(nothing, nothing, nothing, 0)
    whole = np.ones((1, units))
    one, two = _ratio(whole, parts[0], parts[1], transform), _ratio(whole, parts[2], parts[3], transform)
    drawn_one, drawn_two = _drawn(parts, samples, seed, transform)
    return Paired(
        base=_interval(one, drawn_one),
        adapter=_interval(two, drawn_two),
        difference=_interval(two - one, drawn_two - drawn_one),
        units=units,
    )


def _drawn(parts: list[Floats], samples: int, seed: int, transform: Transform) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    units = len(parts[0])
    shares = np.full(units, 1 / units)
    one, two = [], []
    left = samples
    while left > 0:
        count = min(left, max(1, _COUNTS_AT_ONCE // units))
        counts = generator.multinomial(units, shares, size=count).astype(np.float64)
        one.append(_ratio(counts, parts[0], parts[1], transform))
        two.append(_ratio(counts, parts[2], parts[3], transform))
        left -= count
    return np.concatenate(one), np.concatenate(two)


def _ratio(counts: Floats, values: Floats, weights: Floats, transform: Transform) -> Floats:
    """One measure for each row of `counts`; NaN where nothing that has a weight was drawn."""
    total = counts @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        return transform(np.where(total > 0, (counts @ values) / total, np.nan))


def _interval(value: Floats, drawn: Floats) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value[0]) or known.size == 0:
        return Interval(float(value[0]) if np.isfinite(value[0]) else None, None, None)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value[0]), float(low), float(high))
