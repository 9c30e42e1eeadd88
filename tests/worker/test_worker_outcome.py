import pytest

from loquela.core.atomic import write_text
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError, RecipeError, ResourceError
from loquela.jobs.states import JobState, Reason
from loquela.worker.folders import ERROR, OUTPUT, RESULT, JobResult, failure_of
from loquela.worker.outcome import judge


def left(folder, error):
    write_text(folder / ERROR, failure_of(error).model_dump_json())
    return error.exit_code


def test_done_has_its_result(tmp_path):
    write_text(tmp_path / RESULT, JobResult(result={"loss": 1.0}).model_dump_json())
    ended = judge(0, tmp_path, shutting_down=False)
    assert (ended.state, ended.reason, ended.result) == (JobState.SUCCEEDED, Reason.FINISHED, {"loss": 1.0})


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (RecipeError(ErrorCode.CONFIG_INVALID, "m", "r"), JobState.FAILED, Reason.RECIPE_ERROR),
        (DataError(ErrorCode.CORRUPTION, "m", "r"), JobState.FAILED, Reason.DATA_ERROR),
        (ProofError(ErrorCode.VALIDATION_FAILED, "m", "r"), JobState.FAILED, Reason.PROOF_FAILED),
        (ProofError(ErrorCode.NAN_LOSS, "m", "r"), JobState.FAILED, Reason.NAN_LOSS),
        (ResourceError(ErrorCode.OOM, "m", "r"), JobState.FAILED, Reason.OUT_OF_MEMORY),
        (ResourceError(ErrorCode.INSUFFICIENT_RESOURCES, "m", "r"), JobState.FAILED, Reason.RESOURCES),
        (ResourceError(ErrorCode.NETWORK_ERROR, "m", "r", retryable=True), JobState.INTERRUPTED, Reason.INTERNAL),
        (ResourceError(ErrorCode.DISK_FULL, "m", "r"), JobState.INTERRUPTED, Reason.DISK_FULL),
        (ResourceError(ErrorCode.RUN_LOCKED, "m", "r", retryable=True), JobState.INTERRUPTED, Reason.RUN_LOCKED),
    ],
    ids=lambda value: str(getattr(value, "code", value)),
)
def test_an_error_is_final_unless_another_try_may_help(tmp_path, error, state, reason):
    ended = judge(left(tmp_path, error), tmp_path, shutting_down=False)
    assert (ended.state, ended.reason) == (state, reason)
    assert ended.message is not None
    assert ended.message.endswith(" m")


@pytest.mark.parametrize(("shutting_down", "reason"), [(True, Reason.WORKER_SHUTDOWN), (False, Reason.USER)])
def test_saved_and_stopped_goes_on_later(tmp_path, shutting_down, reason):
    code = left(tmp_path, Interrupted(ErrorCode.INTERRUPTED, "saved at step 5", "resume"))
    ended = judge(code, tmp_path, shutting_down=shutting_down)
    assert (ended.state, ended.reason, ended.message) == (JobState.INTERRUPTED, reason, "saved at step 5")


@pytest.mark.parametrize(("code", "how"), [(-9, "signal 9"), (1, "exit code 1")])
def test_a_process_that_died_without_a_word_is_tried_again(tmp_path, code, how):
    (tmp_path / OUTPUT).write_text("x" * 3000 + "\nwith password=hunter2\nSegmentation fault\n")
    ended = judge(code, tmp_path, shutting_down=False)
    assert (ended.state, ended.reason) == (JobState.INTERRUPTED, Reason.INTERNAL)
    assert ended.message == f"Its process ended with {how}."
    assert ended.error is not None
    assert ended.error.message == f"the job's process ended with {how} and without a word"
    output = ended.error.details["output"]
    assert output.endswith("x\nwith password=[secret]\nSegmentation fault")
    assert len(output) < 2010
