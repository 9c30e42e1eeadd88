"""The ladder for non-finite steps and early stopping, as pure state machines."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.training_records import LadderState
from loquela.core.errors import ErrorCode
from loquela.training.early_stopping import EarlyStopping
from loquela.training.nonfinite import NORMS_BEFORE_SPIKES, WINDOW_STEPS, Ladder, Reading, Verdict


def good(step: int, norm: float = 1.0) -> Reading:
    return Reading(step, 2.0, norm, applied=True)


def bad(step: int) -> Reading:
    return Reading(step, math.nan, math.nan, applied=False)


def test_skips_then_rolls_back_then_stops():
    ladder = Ladder(max_skipped_steps=2, max_rollbacks=1, spike_factor=None)
    assert ladder.read(good(0)) is Verdict.APPLIED
    assert [ladder.read(bad(step)) for step in (1, 2, 3)] == [Verdict.SKIPPED, Verdict.SKIPPED, Verdict.ROLL_BACK]
    ladder.rolled_back(LadderState(), checkpoint_step=0, last_bad_step=3)
    assert [ladder.passes_over(step) for step in (0, 3, 4)] == [True, True, False]
    assert [ladder.read(bad(step)) for step in (4, 5, 6)] == [Verdict.SKIPPED, Verdict.SKIPPED, Verdict.STOP]


def test_no_skips_allowed_rolls_back_at_once():
    assert Ladder(0, 1, None).read(bad(5)) is Verdict.ROLL_BACK
    assert Ladder(0, 0, None).read(bad(5)) is Verdict.STOP


def test_skips_outside_the_window_are_forgotten():
    ladder = Ladder(max_skipped_steps=1, max_rollbacks=1, spike_factor=None)
    assert ladder.read(bad(0)) is Verdict.SKIPPED
    assert ladder.incident_began == 0
    assert ladder.read(bad(WINDOW_STEPS)) is Verdict.SKIPPED
    assert ladder.incident_began == WINDOW_STEPS
    assert ladder.state.skipped_total == 2


def test_a_spike_limit_needs_enough_norms_and_follows_their_mean():
    ladder = Ladder(3, 1, spike_factor=5.0)
    for step in range(NORMS_BEFORE_SPIKES):
        assert ladder.norm_limit == math.inf
        ladder.read(good(step, 2.0))
    assert ladder.norm_limit == 10.0
    assert Ladder(3, 1, None, ladder.state).norm_limit == math.inf


def test_the_code_tells_a_bad_loss_from_a_bad_gradient():
    assert bad(0).code is ErrorCode.NAN_LOSS
    assert Reading(0, 1.0, math.inf, applied=False).code is ErrorCode.GRADIENT_EXPLOSION


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.integers(0, 4),
    st.integers(0, 3),
    st.integers(0, 59),
)
def test_a_resumed_ladder_climbs_the_same_steps(applied, max_skipped, max_rollbacks, cut):
    """State saved at any step and loaded again (through JSON) gives the same verdicts as one that never stopped."""
    readings = [good(step) if fine else bad(step) for step, fine in enumerate(applied)]
    straight = Ladder(max_skipped, max_rollbacks, 3.0)
    resumed = Ladder(max_skipped, max_rollbacks, 3.0)
    for number, reading in enumerate(readings):
        if number == cut:
            state = LadderState.model_validate_json(resumed.state.model_dump_json())
            resumed = Ladder(max_skipped, max_rollbacks, 3.0, state)
        assert straight.read(reading) is resumed.read(reading)
        assert straight.state == resumed.state
        assert straight.norm_limit == resumed.norm_limit


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=80), st.integers(0, 4), st.integers(0, 3))
def test_the_ladder_always_ends(applied, max_skipped, max_rollbacks):
    """However bad the steps, there are at most max_rollbacks roll-backs, and then a stop."""
    ladder = Ladder(max_skipped, max_rollbacks, None)
    rollbacks = 0
    for step, fine in enumerate([*applied, *[False] * (max_skipped + 1) * (max_rollbacks + 1)]):
        verdict = ladder.read(good(step) if fine else bad(step))
        if verdict is Verdict.ROLL_BACK:
            rollbacks += 1
            ladder.rolled_back(LadderState(), checkpoint_step=0, last_bad_step=step)
        if verdict is Verdict.STOP:
            assert rollbacks == max_rollbacks
            return
    raise AssertionError("endless non-finite steps did not stop the run")


def test_early_stopping_counts_evaluations_without_gain():
    stopping = EarlyStopping(patience=2, min_delta=0.1)
    assert [stopping.update(loss) for loss in (3.0, 2.95, 2.8, 2.75, 2.71)] == [False, False, False, False, True]
    resumed = EarlyStopping(2, 0.1, stopping.state)
    assert resumed.exhausted


def test_nan_is_no_gain_and_no_patience_never_ends():
    stopping = EarlyStopping(patience=1, min_delta=0.0)
    assert stopping.update(math.nan)
    assert stopping.state.best_loss is None
    assert not any(EarlyStopping(None, 0.0).update(9.0) for _ in range(50))
