"""Sampling follows the distribution it is given, and nothing else."""

import math

import numpy as np
import pytest

from loquela.core.errors import DataError
from loquela.inference.sampling import choose, seeded

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))


def row(*logits):
    return np.array(logits, dtype=np.float32)


def drawn(count=4000, *, temperature=1.0, top_k=None, top_p=None, logits=LOGITS):
    generator = seeded(7)
    ids = [choose(logits, temperature, top_k, top_p, generator) for _ in range(count)]
    return [ids.count(token) / count for token in range(len(logits))]


def test_frequencies_are_the_probabilities():
    assert drawn() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_temperature_sharpens_as_the_formula_says():
    weights = [0.5**2, 0.3**2, 0.15**2, 0.05**2]  # temperature ½ squares the probabilities
    assert drawn(temperature=0.5) == pytest.approx([w / sum(weights) for w in weights], abs=0.03)


def test_greedy_takes_the_first_of_equals():
    assert choose(row(1.0, 2.0, 2.0), 0.0, None, None, seeded(0)) == 1


def test_top_k_of_one_is_greedy():
    assert drawn(200, top_k=1) == [1.0, 0.0, 0.0, 0.0]


def test_top_k_keeps_the_proportions_of_the_kept():
    assert drawn(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)


def test_top_p_keeps_the_fewest_that_reach_the_mass():
    assert drawn(top_p=0.6) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert drawn(top_p=0.01) == [1.0, 0.0, 0.0, 0.0]
    assert drawn(top_p=1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_impossible_tokens_are_never_drawn():
    logits = row(-math.inf, 0.0, -math.inf, 0.0, -math.inf)
    frequencies = drawn(2000, logits=logits)
    assert frequencies[0] == frequencies[2] == frequencies[4] == 0.0


def test_a_tiny_temperature_is_greedy_and_not_an_overflow():
    assert drawn(50, temperature=1e-30, logits=row(50.0, 80.0, 79.0)) == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite_are_refused(bad, temperature):
    with pytest.raises(DataError, match="not finite numbers") as caught:
        choose(row(0.0, bad), temperature, None, None, seeded(0))
    assert caught.value.code == "INFERENCE_FAILED"
