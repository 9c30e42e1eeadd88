"""The one table of a job's states and of the ways between them.

    queued ─▶ starting ─▶ running ─┬─▶ succeeded
      ▲           │          │     ├─▶ failed ──────┐
      │           │          │     ├─▶ cancelled ───┤ resumed by a person
      │           └──────────┴─────┼─▶ interrupted ─┤
      │                            └─▶ paused ──────┤
      └────────────────────────────────────────────-┘

`cancelling` and `pausing` stand between a request and what the trainer makes of it: it saves first, and may have
finished meanwhile. Nothing leaves `succeeded`.
"""

from __future__ import annotations

from enum import StrEnum

from loquela.core.errors import ErrorCode, RecipeError


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a job is no longer at work."""

    FINISHED = "finished"
    USER = "user"
    RECIPE_ERROR = "recipe_error"
    DATA_ERROR = "data_error"
    PROOF_FAILED = "proof_failed"
    RESOURCES = "resources"
    OUT_OF_MEMORY = "oom"
    NAN_LOSS = "nan_loss"
    DISK_FULL = "disk_full"
    LOST_LEASE = "lost_lease"
    WORKER_SHUTDOWN = "worker_shutdown"
    RUN_LOCKED = "run_locked"
    CRASH_LOOP = "crash_loop"
    TIMEOUT = "timeout"
    INTERNAL = "internal"


_S = JobState

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.CANCELLED, _S.PAUSED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.PAUSING, _S.CANCELLING, _S.INTERRUPTED, _S.SUCCEEDED, _S.FAILED}),
    _S.RUNNING: frozenset({_S.PAUSING, _S.CANCELLING, _S.INTERRUPTED, _S.SUCCEEDED, _S.FAILED}),
    _S.PAUSING: frozenset({_S.PAUSED, _S.CANCELLING, _S.INTERRUPTED, _S.SUCCEEDED, _S.FAILED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.SUCCEEDED, _S.FAILED}),
    _S.CANCELLED: frozenset({_S.QUEUED}),
    _S.INTERRUPTED: frozenset({_S.QUEUED, _S.CANCELLED, _S.PAUSED, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset({_S.QUEUED}),
}

# A worker holds these under a lease.
HELD = frozenset({_S.STARTING, _S.RUNNING, _S.PAUSING, _S.CANCELLING})
# Nothing happens to these unless a person asks.
TERMINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED})
# What a person may ask for, and what each state becomes then.
ON_CANCEL: dict[JobState, JobState] = {
    _S.QUEUED: _S.CANCELLED,
    _S.PAUSED: _S.CANCELLED,
    _S.INTERRUPTED: _S.CANCELLED,
    _S.STARTING: _S.CANCELLING,
    _S.RUNNING: _S.CANCELLING,
    _S.PAUSING: _S.CANCELLING,
}
ON_PAUSE: dict[JobState, JobState] = {
    _S.QUEUED: _S.PAUSED,
    _S.INTERRUPTED: _S.PAUSED,
    _S.STARTING: _S.PAUSING,
    _S.RUNNING: _S.PAUSING,
}
ON_RESUME: dict[JobState, JobState] = {
    _S.PAUSED: _S.QUEUED,
    _S.CANCELLED: _S.QUEUED,
    _S.FAILED: _S.QUEUED,
    _S.INTERRUPTED: _S.QUEUED,
}

# What becomes of a job whose worker is gone.
ON_LOST_LEASE: dict[JobState, JobState] = {
    _S.STARTING: _S.INTERRUPTED,
    _S.RUNNING: _S.INTERRUPTED,
    _S.PAUSING: _S.PAUSED,
    _S.CANCELLING: _S.CANCELLED,
}

SENTENCES: dict[Reason, str] = {
    Reason.FINISHED: "It finished.",
    Reason.USER: "Somebody asked for it.",
    Reason.RECIPE_ERROR: "The recipe or the request cannot be used as it is.",
    Reason.DATA_ERROR: "The data cannot be used as it is.",
    Reason.PROOF_FAILED: "A proof or a quality limit did not hold.",
    Reason.RESOURCES: "The machine lacks something that the work needs.",
    Reason.OUT_OF_MEMORY: "The memory was not enough.",
    Reason.NAN_LOSS: "The loss stopped being a number.",
    Reason.DISK_FULL: "The disk is full; the last good checkpoint is kept.",
    Reason.LOST_LEASE: "Its worker was lost; it goes on from the last checkpoint.",
    Reason.WORKER_SHUTDOWN: "Its worker was shut down after saving; it goes on from there.",
    Reason.RUN_LOCKED: "Another process still works on the run; it is tried again.",
    Reason.CRASH_LOOP: "It died at the same place again and again, so it is not tried any more.",
    Reason.TIMEOUT: "It took longer than it may.",
    Reason.INTERNAL: "A fault of Loquela's own; the log of the run has the details.",
}


def check_transition(old: JobState, new: JobState) -> None:
    """RecipeError(INVALID_STATE) where the table has no way from `old` to `new`."""
    if new not in TRANSITIONS[old]:
        ways = ", ".join(sorted(TRANSITIONS[old])) or "nowhere"
        raise RecipeError(
            ErrorCode.INVALID_STATE,
            f"a job that is {old} cannot become {new}; from there it goes to {ways}",
            "look at the job's state, and ask for what it allows",
            details={"state": old, "wanted": new},
        )
