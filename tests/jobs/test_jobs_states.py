import pytest

from loquela.core.errors import RecipeError
from loquela.jobs.states import (
    HELD,
    ON_CANCEL,
    ON_LOST_LEASE,
    ON_PAUSE,
    ON_RESUME,
    SENTENCES,
    TERMINAL,
    TRANSITIONS,
    JobState,
    Reason,
    check_transition,
)


def test_every_state_has_a_row_and_every_reason_a_sentence():
    assert set(TRANSITIONS) == set(JobState)
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize("ways", [ON_CANCEL, ON_PAUSE, ON_RESUME, ON_LOST_LEASE])
def test_what_is_asked_for_is_in_the_table(ways):
    for old, new in ways.items():
        check_transition(old, new)


def test_what_is_held_can_be_lost():
    assert set(ON_LOST_LEASE) == HELD


def test_every_state_but_success_can_be_left_and_ends_can_be_reached():
    reached = {JobState.QUEUED}
    while True:
        more = {new for old in reached for new in TRANSITIONS[old]}
        if more <= reached:
            break
        reached |= more
    assert reached == set(JobState)
    assert [state for state in JobState if not TRANSITIONS[state]] == [JobState.SUCCEEDED]
    assert JobState.SUCCEEDED in TERMINAL


def test_a_way_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(RecipeError, match="a job that is paused cannot become running; from there it goes to"):
        check_transition(JobState.PAUSED, JobState.RUNNING)
    with pytest.raises(RecipeError, match="it goes to nowhere"):
        check_transition(JobState.SUCCEEDED, JobState.QUEUED)
