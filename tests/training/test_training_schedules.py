"""Schedules: golden factors worked out by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import InternalError
from loquela.recipe.schema import ScheduleSection
from loquela.training.schedules import learning_rate_factor

NAMES = ["constant", "cosine", "linear", "warmup_stable_decay"]


def factor(name, step, total=101, **changes):
    section = ScheduleSection(name=name, **{"warmup_fraction": 0.2, "final_fraction": 0.1, **changes})
    return learning_rate_factor(section, step, total)


# 101 steps, 20 of them warm-up: step 20 is the peak, 80 steps of decay follow, step 60 is half-way.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", {0: 1 / 21, 19: 20 / 21, 20: 1.0, 60: 1.0, 100: 1.0}),
        ("linear", {0: 1 / 21, 19: 20 / 21, 20: 1.0, 40: 0.775, 60: 0.55, 100: 0.1}),
        (
            "cosine",
            {0: 1 / 21, 19: 20 / 21, 20: 1.0, 40: 0.1 + 0.45 * (1 + math.sqrt(0.5)), 60: 0.55, 100: 0.1},
        ),
        # round(0.3 * 101) = 30 steps of decay: step 70 is the last stable one, step 71 the first of decay.
        ("warmup_stable_decay", {0: 1 / 21, 20: 1.0, 60: 1.0, 70: 1.0, 71: 1 - 0.9 / 30, 85: 0.55, 100: 0.1}),
    ],
)
def test_golden_factors(name, expected):
    for step, value in expected.items():
        assert factor(name, step) == pytest.approx(value, abs=1e-12), step


@pytest.mark.parametrize("name", NAMES)
def test_without_warmup_the_first_step_has_the_peak(name):
    assert factor(name, 0, warmup_fraction=0.0) == 1.0


@pytest.mark.parametrize("name", ["cosine", "linear", "warmup_stable_decay"])
def test_beyond_the_last_step_nothing_changes(name):
    assert factor(name, 500) == pytest.approx(0.1)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    total=st.integers(1, 3000),
    step=st.integers(0, 3000),
    warmup=st.floats(0, 0.99),
    decay=st.floats(0.01, 1),
    final=st.floats(0, 1),
)
def test_stays_between_nothing_and_the_peak(name, total, step, warmup, decay, final):
    section = ScheduleSection(name=name, warmup_fraction=warmup, decay_fraction=decay, final_fraction=final)
    here = learning_rate_factor(section, step, total)
    assert 0.0 <= here <= 1.0
    if step >= round(warmup * total):
        assert learning_rate_factor(section, step + 1, total) <= here


@pytest.mark.parametrize(("step", "total"), [(-1, 10), (0, 0)])
def test_an_impossible_step_is_refused(step, total):
    with pytest.raises(InternalError, match=f"no learning rate exists for step {step} of {total}"):
        factor("cosine", step, total)
