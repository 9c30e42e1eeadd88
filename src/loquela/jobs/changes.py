"""The one way to change a job's state: a guarded UPDATE and its event, together."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.event_log import append_event
from loquela.jobs.projects import seen
from loquela.jobs.records import Job, JobError, JsonObject, Level, job_of
from loquela.jobs.states import HELD, SENTENCES, TERMINAL, JobState, Reason, check_transition
from loquela.jobs.tables import jobs


class Superseded(Exception):
    """Somebody else changed the job first, or the fence is an old one: what was to be written was not."""


def find_job(connection: Connection, job_id: str, project: str | None = None) -> Job:
    """A job by its id; RecipeError(RUN_NOT_FOUND) when there is none, or none that a caller of `project` may see."""
    query = select(jobs).where((jobs.c.id == job_id) & seen(project, jobs.c.project))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"there is no job {job_id!r}", "list them: GET /runs")
    return job_of(row)


def change_state(
    connection: Connection,
    job: Job,
    state: JobState,
    *,
    at: float,
    reason: Reason | None = None,
    message: str | None = None,
    error: JobError | None = None,
    not_before: float = 0.0,
    crashes: int | None = None,
) -> Job:
    """Bring `job` from the state it was read in to `state`.

    Raises RecipeError(INVALID_STATE) where the table has no such way, Superseded where the row is no longer as read.
    """
    check_transition(job.state, state)
    said = message if message is not None else SENTENCES[reason] if reason is not None else ""
    values: dict[str, object] = {
        "state": state,
        "reason": reason,
        "message": said,
        "error": error.model_dump_json() if error is not None else None,
        "updated_at": at,
        "not_before": not_before,
    }
    if crashes is not None:
        values["crashes"] = crashes
    if state not in HELD:
        values |= {"lease_owner": None, "lease_until": None}
    values["ended_at"] = at if state in TERMINAL else None
    guard = (jobs.c.id == job.id) & (jobs.c.state == job.state) & (jobs.c.fence == job.fence)
    if connection.execute(update(jobs).where(guard).values(**values)).rowcount != 1:
        raise Superseded(job.id)
    changed = find_job(connection, job.id)
    _tell(connection, job, changed, at)
    return changed


def _tell(connection: Connection, before: Job, job: Job, at: float) -> None:
    level: Level = "error" if job.state is JobState.FAILED else "info"
    data: JsonObject = {"from": before.state, "to": job.state, "reason": job.reason, "attempt": job.attempt}
    append_event(
        connection,
        f"job.{job.state}.v1",
        at=at,
        job_id=job.id,
        run_id=job.run_id,
        level=level,
        message=job.message,
        data=data,
    )
