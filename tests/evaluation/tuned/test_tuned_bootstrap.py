"""Intervals: values by hand, seeds, what a ratio of sums is, and that pairs are drawn together."""

from __future__ import annotations

import numpy as np
import pytest

from loquela.evaluation.tuned.bootstrap import Floats, Paired, Sums, paired_bootstrap


def sums(values: list[float], weights: list[float] | None = None) -> Sums:
    return Sums(np.array(values), np.array(weights or [1.0] * len(values)))


def run(base: Sums, adapter: Sums, *, seed: int = 1) -> Paired:
    return paired_bootstrap(base, adapter, samples=2000, seed=seed)


def test_values_are_ratios_of_sums() -> None:
    # Base: (1·2 + 0·1) / 3; adapter: only the second unit has a number.
    found = run(sums([2.0, 0.0], [2.0, 1.0]), sums([0.0, 3.0], [0.0, 4.0]))
    assert found.base.value == pytest.approx(2 / 3)
    assert found.adapter.value == pytest.approx(3 / 4)
    assert found.difference.value == pytest.approx(3 / 4 - 2 / 3)
    assert found.units == 2


def test_equal_seeds_give_equal_intervals() -> None:
    base, adapter = sums([0.11, 1.7, 1.3, 0.2, 1.9]), sums([1.1, 1.4, 1.6, 0.7, 1.8])
    assert run(base, adapter) == run(base, adapter)
    assert run(base, adapter) != run(base, adapter, seed=2)


def test_the_interval_of_a_share_is_near_the_binomial_one() -> None:
    # 400 coin throws, 100 heads: 0.25 ± 1.96·√(0.25·0.75/400) = 0.25 ± 0.0424.
    found = run(sums([1.0] * 100 + [0.0] * 300), sums([0.0] * 400))
    assert found.base.low == pytest.approx(0.2076, abs=0.006)
    assert found.base.high == pytest.approx(0.2924, abs=0.006)


def test_pairs_are_drawn_together() -> None:
    """Units that differ much among themselves, but always by 0.1: the difference is certain, each side is not."""
    values = [float(value) for value in range(20)]
    found = run(sums(values), sums([value + 0.1 for value in values]))
    assert found.difference.low == pytest.approx(0.1)
    assert found.difference.high == pytest.approx(0.1)
    assert found.base.low is not None and found.base.high is not None
    assert found.base.high - found.base.low > 2


def test_a_transform_works_on_the_ratio() -> None:
    def exponential(values: Floats) -> Floats:
        return np.exp(values)

    found = paired_bootstrap(sums([0.0, 2.0], [1.0, 1.0]), sums([0.0, 0.0]), samples=200, seed=1, transform=exponential)
    assert found.base.value == pytest.approx(np.e)
    assert found.adapter.value == pytest.approx(1.0)


def test_units_without_a_number_on_either_side_are_left_out() -> None:
    found = run(sums([1.0, 0.0], [1.0, 0.0]), sums([1.0, 0.0], [1.0, 0.0]))
    assert found.units == 1
    nothing = run(sums([0.0], [0.0]), sums([0.0], [0.0]))
    assert nothing.units == 0
    assert nothing.base.value is None and nothing.difference.low is None


def test_one_side_without_numbers_has_none() -> None:
    found = run(sums([0.0, 0.0], [0.0, 0.0]), sums([1.0, 1.0]))
    assert found.base.value is None
    assert found.difference.value is None
    assert found.adapter.value == 1.0
