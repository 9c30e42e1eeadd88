"""What a run's folder says of itself: status, lock, files. It may have been edited by hand, so nothing is believed."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from loquela.core.errors import ErrorCode, LoquelaError
from loquela.jobs.ingest import EVENTS, METRICS
from loquela.jobs.records import JobError, JsonObject
from loquela.jobs.states import SENTENCES, JobState, Reason
from loquela.runs.lock import is_locked
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import STATUS_NAME, Phase, PipelineStatus, load_status

REASON_OF_TYPE = {
    "oom": Reason.OUT_OF_MEMORY,
    "disk_space": Reason.DISK_FULL,
    "network": Reason.RESOURCES,
    "validation_failure": Reason.PROOF_FAILED,
}
NOT_FINITE = frozenset({ErrorCode.NAN_LOSS, ErrorCode.GRADIENT_EXPLOSION})
LARGEST_STATUS_BYTES = 16 * 2**20


@dataclass(frozen=True)
class FoundRun:
    """A run as its folder shows it; times are seconds since 1970, UTC. `moved_at`: when it last wrote something."""

    state: JobState
    reason: Reason | None
    message: str
    started_at: float
    moved_at: float
    error: JobError | None = None
    progress: JsonObject = field(default_factory=dict)


def has_run(folder: Path) -> bool:
    """Whether a run lies in `folder` itself: no link, and its status is a file of a size that a status has."""
    try:
        status = (folder / STATUS_NAME).lstat()
        return not folder.is_symlink() and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_STATUS_BYTES
    except OSError:
        return False


def look_at(folder: Path) -> FoundRun:
    """What became of the run in `folder`; one whose status cannot be read has failed, and says why."""
    locked, moved_at = is_locked(folder), _moved_at(folder)
    try:
        status = load_status(folder)
    except (LoquelaError, OSError) as error:
        why = error.message if isinstance(error, LoquelaError) else str(error)
        damaged = JobError(code=ErrorCode.CORRUPTION, message=why, remedy="restore status.json, or start a new run")
        state, reason = (JobState.RUNNING, None) if locked else (JobState.FAILED, Reason.DATA_ERROR)
        return FoundRun(state, reason, why, moved_at, moved_at, damaged)
    state, reason, message = _standing(folder, status, locked)
    details = status.error_details
    fault = None
    if details is not None and state is JobState.FAILED:
        fault = JobError(code=details.code, message=details.error_message, remedy=details.remedy)
    progress: JsonObject = dict(status.progress) | {"phase": status.current_phase}
    return FoundRun(state, reason, message.replace("\0", ""), _began_at(status, moved_at), moved_at, fault, progress)


def recipe_of(folder: Path) -> JsonObject | None:
    """The recipe that the run was made from; None where its manifest cannot be read."""
    try:
        recipe = load_run_manifest(folder).recipe
    except (LoquelaError, OSError):
        return None
    return dict(recipe.model_dump(mode="json", exclude_unset=True))


def _began_at(status: PipelineStatus, otherwise: float) -> float:
    try:
        return status.start_time.timestamp()
    except (ValueError, OverflowError):  # a year that the machine's clock does not know
        return otherwise


def _standing(folder: Path, status: PipelineStatus, locked: bool) -> tuple[JobState, Reason | None, str]:
    if locked:
        return JobState.RUNNING, None, ""
    if status.current_phase is Phase.COMPLETE:
        return JobState.SUCCEEDED, Reason.FINISHED, SENTENCES[Reason.FINISHED]
    if status.current_phase is Phase.FAILED:
        reason = _why(folder, status)
        return JobState.FAILED, reason, status.message or SENTENCES[reason]
    if _ended(folder):
        return JobState.PAUSED, Reason.USER, status.message or "It stopped where it was asked to."
    if status.message:
        return JobState.INTERRUPTED, Reason.USER, status.message
    return JobState.INTERRUPTED, Reason.LOST_LEASE, "Nobody works on it any more; it may be resumed."


def _why(folder: Path, status: PipelineStatus) -> Reason:
    details = status.error_details
    if details is None:
        return Reason.INTERNAL
    if details.code in NOT_FINITE:
        return Reason.NAN_LOSS
    by_type = REASON_OF_TYPE.get(details.error_type)
    if by_type is not None:
        return by_type
    try:
        whose = load_run_manifest(folder).failure_class
    except (LoquelaError, OSError):
        return Reason.INTERNAL
    return Reason.DATA_ERROR if whose == "USER_INPUT" else Reason.INTERNAL


def _ended(folder: Path) -> bool:
    try:
        return load_run_manifest(folder).ended is not None
    except (LoquelaError, OSError):
        return False


def _moved_at(folder: Path) -> float:
    times = [0.0]
    for name in (STATUS_NAME, METRICS, EVENTS):
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)
