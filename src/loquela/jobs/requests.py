"""What a person asks of a job that is there: cancel, pause, resume. The trainer hears of it from its supervisor."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import Connection

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.audit import AuditLog
from loquela.jobs.changes import Superseded, change_state, find_job
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject
from loquela.jobs.records import Job
from loquela.jobs.states import HELD, ON_CANCEL, ON_PAUSE, ON_RESUME, JobState, Reason

TRIES = 8
ALREADY: dict[str, frozenset[JobState]] = {
    "cancel": frozenset({JobState.CANCELLING, JobState.CANCELLED}),
    "pause": frozenset({JobState.PAUSING, JobState.PAUSED}),
    "resume": frozenset({JobState.QUEUED, JobState.STARTING, JobState.RUNNING}),
}


class Requests(InProject):
    """Each is idempotent: asking for what is so already changes nothing."""

    def __init__(self, database: Database, clock: Clock, audit: AuditLog | None = None) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def cancel(self, job_id: str) -> Job:
        """Stop a job, with everything saved; RecipeError(INVALID_STATE) for one that has ended."""
        return self._ask("cancel", job_id, ON_CANCEL)

    def pause(self, job_id: str) -> Job:
        """Stop a job until it is resumed; RecipeError(INVALID_STATE) for one that has ended."""
        return self._ask("pause", job_id, ON_PAUSE)

    def resume(self, job_id: str) -> Job:
        """Queue a paused, cancelled, interrupted or failed job again; its run goes on from its last checkpoint."""
        return self._ask("resume", job_id, ON_RESUME)

    def _ask(self, verb: str, job_id: str, ways: dict[JobState, JobState]) -> Job:
        for _ in range(TRIES):
            try:
                with self._writing() as connection:
                    job = find_job(connection, job_id, self._project)
                    if job.state in ALREADY[verb]:
                        return job
                    if job.state not in ways:
                        raise _not_now(verb, job)
                    if job.state in HELD and job.lease_owner is None:
                        raise _not_here(verb, job)
                    crashes = 0 if verb == "resume" else None
                    reason = None if verb == "resume" else Reason.USER
                    changed = change_state(
                        connection, job, ways[job.state], at=self._clock.now(), reason=reason, crashes=crashes
                    )
                    if self._audit is not None:
                        self._audit.append(connection, f"{job.kind}.{verb}", job.id, details={"was": job.state})
                    return changed
            except Superseded:
                continue
        raise RecipeError(
            ErrorCode.INVALID_STATE, f"{job_id} changes faster than it can be asked to {verb}", "ask again"
        )

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._audit.writing() if self._audit is not None else self._database.write()


def _not_here(verb: str, job: Job) -> RecipeError:
    return RecipeError(
        ErrorCode.INVALID_STATE,
        f"{job.id} was started on the command line, and no worker of the service can be asked to {verb} it",
        "stop it where it was started, with Ctrl+C; then it can be resumed here",
        details={"state": job.state},
    )


def _not_now(verb: str, job: Job) -> RecipeError:
    return RecipeError(
        ErrorCode.INVALID_STATE,
        f"{job.id} is {job.state} and cannot be asked to {verb}",
        "look at its state first; only a paused, cancelled, interrupted or failed job is resumed"
        if verb == "resume"
        else "only a job that has not ended can be stopped",
        details={"state": job.state},
    )
