"""The phases and their transitions, whatever order they are asked for in."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.runs.status import ORDER, WORKING, ErrorDetails, Phase, PipelineStatus, load_status


def details(phase: Phase) -> ErrorDetails:
    return ErrorDetails(failed_phase=phase, error_type="other", error_message="it broke")


def test_the_straight_way_completes_every_phase() -> None:
    status = PipelineStatus(run_id="r")
    for phase in ORDER[1:]:
        status.advance(phase)
    assert status.current_phase is Phase.COMPLETE
    assert status.completed_phases == list(WORKING)
    assert status.end_time is not None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*ORDER[1:], Phase.FAILED]), max_size=12))
def test_only_the_next_phase_or_failed_is_reachable(asked: list[Phase]) -> None:
    status = PipelineStatus(run_id="r")
    for phase in asked:
        before = status.current_phase
        allowed = before in WORKING and (phase is Phase.FAILED or ORDER.index(phase) == ORDER.index(before) + 1)
        if not allowed:
            with pytest.raises(InternalError, match=f"a pipeline in phase {before} cannot go to {phase}"):
                status.fail(details(before)) if phase is Phase.FAILED else status.advance(phase)
            assert status.current_phase is before
        elif phase is Phase.FAILED:
            status.fail(details(before))
            assert status.error_details is not None
        else:
            status.advance(phase)
        assert status.completed_phases == list(ORDER[: len(status.completed_phases)])


def test_a_failed_run_reopens_where_it_failed() -> None:
    status = PipelineStatus(run_id="r")
    status.advance(Phase.CORPUS_DOWNLOAD)
    status.advance(Phase.TOKENIZER_TRAINING)
    status.fail(details(Phase.TOKENIZER_TRAINING))
    status.reopen(Phase.TOKENIZER_TRAINING)
    assert status.error_details is None
    assert status.completed_phases == [Phase.PREREQUISITE_CHECK, Phase.CORPUS_DOWNLOAD]
    with pytest.raises(InternalError, match="cannot go to complete"):
        status.reopen(Phase.COMPLETE)


def test_saved_and_read_again(tmp_path: Path) -> None:
    status = PipelineStatus(run_id="r")
    status.advance(Phase.CORPUS_DOWNLOAD)
    status.save(tmp_path)
    assert load_status(tmp_path) == status


def test_absent_and_damaged_are_typed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a run: it has no status.json") as absent:
        load_status(tmp_path)
    assert absent.value.code is ErrorCode.RUN_NOT_FOUND
    (tmp_path / "status.json").write_text('{"run_id": 3')
    with pytest.raises(DataError, match="cannot be read as a pipeline status") as damaged:
        load_status(tmp_path)
    assert damaged.value.code is ErrorCode.CORRUPTION
