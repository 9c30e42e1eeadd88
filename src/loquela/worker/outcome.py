"""From an exit code and what lies in the folder to what becomes of the job."""

from __future__ import annotations

from pathlib import Path

from loquela.core.errors import ErrorCode, FailureClass
from loquela.core.redaction import without_secrets
from loquela.jobs.claims import Ended
from loquela.jobs.records import JobError
from loquela.jobs.states import SENTENCES, JobState, Reason
from loquela.worker.child import DISK_FULL
from loquela.worker.folders import OUTPUT, read_failure, read_result

SAVED = 75
LOCKED_RETRY_SECONDS = 5.0
BY_CODE: dict[str, Reason] = {
    ErrorCode.OOM: Reason.OUT_OF_MEMORY,
    ErrorCode.DISK_FULL: Reason.DISK_FULL,
    ErrorCode.NAN_LOSS: Reason.NAN_LOSS,
    ErrorCode.GRADIENT_EXPLOSION: Reason.NAN_LOSS,
    ErrorCode.RUN_LOCKED: Reason.RUN_LOCKED,
}
BY_EXIT: dict[int, Reason] = {
    2: Reason.RECIPE_ERROR,
    3: Reason.DATA_ERROR,
    4: Reason.RESOURCES,
    5: Reason.PROOF_FAILED,
}
LAST_OUTPUT_BYTES = 2000


def judge(exit_code: int, folder: Path, *, shutting_down: bool) -> Ended:
    """What the end of a process means.

    Done is done, also where somebody asked it to stop meanwhile. Saved and stopped goes on later. Killed is a crash,
    which is tried again. An error is final, unless its own class says that another try may help.
    """
    if exit_code == 0:
        return Ended(JobState.SUCCEEDED, Reason.FINISHED, result=read_result(folder) or {})
    if exit_code == SAVED:
        reason = Reason.WORKER_SHUTDOWN if shutting_down else Reason.USER
        failure = read_failure(folder)
        return Ended(JobState.INTERRUPTED, reason, message=failure.error.message if failure else None)
    failure = read_failure(folder)
    if failure is None:
        return _full(folder) if exit_code == DISK_FULL else _crashed(exit_code, folder)
    reason = BY_CODE.get(failure.error.code) or BY_EXIT.get(exit_code, Reason.INTERNAL)
    message = f"{SENTENCES[reason]} {failure.error.message}"
    if reason is Reason.RUN_LOCKED:
        return Ended(JobState.INTERRUPTED, reason, message=message, retry_after_seconds=LOCKED_RETRY_SECONDS)
    if reason is Reason.DISK_FULL:
        return Ended(JobState.INTERRUPTED, reason, message=message, error=failure.error)
    if failure.retryable and failure.failure_class is FailureClass.TRANSIENT:
        return Ended(JobState.INTERRUPTED, Reason.INTERNAL, message=message, error=failure.error)
    return Ended(JobState.FAILED, reason, message=message, error=failure.error, result=read_result(folder))


def _full(folder: Path) -> Ended:
    error = JobError(
        code=ErrorCode.DISK_FULL,
        message=f"no space left on the file system of {folder}: not even the error could be written down",
        remedy="free some space there, then resume it",
    )
    return Ended(JobState.INTERRUPTED, Reason.DISK_FULL, error=error)


def _crashed(exit_code: int, folder: Path) -> Ended:
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    error = JobError(
        code=ErrorCode.WORKER_CRASH,
        message=f"the job's process ended with {how} and without a word",
        remedy="nothing: it is tried again from its last checkpoint",
        details={"output": _last(folder)},
    )
    return Ended(JobState.INTERRUPTED, Reason.INTERNAL, message=f"Its process ended with {how}.", error=error)


def _last(folder: Path) -> str:
    """The end of what it printed, as far as anybody who may see the run may see that; empty where there is nothing."""
    try:
        with (folder / OUTPUT).open("rb") as stream:
            stream.seek(max(0, (folder / OUTPUT).stat().st_size - LAST_OUTPUT_BYTES))
            return without_secrets(stream.read(LAST_OUTPUT_BYTES).decode("utf-8", "replace").strip())
    except OSError:
        return ""
