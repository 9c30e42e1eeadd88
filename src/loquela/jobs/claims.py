"""Who works on what: claims with a lease and a fence, heartbeats, the end of an attempt, and lost leases."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, insert, or_, select, update

from loquela.jobs.changes import Superseded, change_state, find_job
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.records import INFERENCE, Job, JobError, JsonObject, job_of, json_text
from loquela.jobs.states import HELD, ON_LOST_LEASE, JobState, Reason
from loquela.jobs.tables import attempts, jobs

LEASE_SECONDS = 30.0
CANDIDATES = 8
# So many deaths at the same step, and the job is not tried any more.
CRASHES_ALLOWED = 3
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 300.0
# A longer lease than any setting allows was given by a clock that went wrong.
LONGEST_LEASE_SECONDS = 3600.0


@dataclass(frozen=True)
class Holder:
    """Who claims: a worker's id, and where its process lives."""

    worker: str
    host: str
    boot_id: str


@dataclass(frozen=True)
class HeldJob:
    """A job under a lease, and where the process of its worker lives."""

    job: Job
    host: str
    boot_id: str

    @property
    def lease_seconds(self) -> float:
        """How long its worker may be silent, as that worker itself has written."""
        given = (self.job.lease_until or 0.0) - self.job.updated_at
        return min(LONGEST_LEASE_SECONDS, max(0.0, given))


@dataclass(frozen=True)
class Ended:
    """How an attempt ended, and what the job becomes."""

    state: JobState
    reason: Reason
    message: str | None = None
    error: JobError | None = None
    result: JsonObject | None = None
    retry_after_seconds: float | None = None


class Claims:
    """The worker's side of a job. Every write names the fence of the claim; Superseded means: stop, write nothing."""

    def __init__(self, database: Database, clock: Clock, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self.lease_seconds = lease_seconds

    def claim(self, holder: Holder, kinds: tuple[str, ...] | None = None) -> Job | None:
        """Take the next queued job, with a new fence; None when there is none.

        A job waits for those on its run that are in work, or that were asked for before it.
        """
        for job_id in self._candidates(kinds):
            with self._database.write() as connection:
                job = find_job(connection, job_id)
                if job.state is JobState.QUEUED and _is_due(job.not_before, self._clock.now()):
                    return self._take(connection, job, holder)
        return None

    def heartbeat(self, job: Job, progress: JsonObject | None, *, advanced: bool) -> Job:
        """Keep the lease; `progress` is what is shown, `advanced` whether the work itself moved since the last time.

        The job that comes back may have been asked to pause or cancel. Raises Superseded when it is another's now.
        """
        now = self._clock.now()
        values: dict[str, object] = {"lease_until": now + self.lease_seconds, "updated_at": now}
        if progress is not None:
            values["progress"] = json_text(progress)
        if advanced:
            values["progress_at"] = now
        with self._database.write() as connection:
            if connection.execute(update(jobs).where(_held_under(job)).values(**values)).rowcount != 1:
                raise Superseded(job.id)
            return find_job(connection, job.id)

    def started(self, job: Job, pid: int) -> Job:
        """The trainer's process is there."""
        with self._database.write() as connection:
            connection.execute(update(attempts).where(_attempt_of(job)).values(pid=pid))
            current = self._own(connection, job)
            if current.state is not JobState.STARTING:
                return current
            return change_state(connection, current, JobState.RUNNING, at=self._clock.now())

    def end(self, job: Job, ended: Ended, *, last_step: int | None = None) -> Job:
        """Write how the attempt ended; an interrupted job is queued again at once, after its delay.

        A job that was asked to stop meanwhile ends as asked when it was interrupted by that.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            current = self._own(connection, job)
            state, reason = _as_asked(current.state, ended)
            self._close_attempt(connection, current, ended.reason, state, now, last_step)
            if ended.result is not None:
                self._write_result(connection, job, ended.result)
            changed = change_state(
                connection,
                current,
                state,
                at=now,
                reason=reason,
                message=ended.message if state is ended.state else None,
                error=ended.error,
            )
            if state is JobState.INTERRUPTED:
                changed = self._again(connection, changed, ended, now)
            return changed

    def held(self) -> list[HeldJob]:
        """What is in work; whether its worker is gone is the caller's to prove."""
        joined = jobs.join(attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.fence == jobs.c.fence))
        query = (
            select(jobs, attempts.c.host, attempts.c.boot_id)
            .select_from(joined)
            .where(jobs.c.state.in_(list(HELD)))
            .order_by(jobs.c.seq)
        )
        found = []
        with self._database.read() as connection:
            for row in connection.execute(query):
                fields = dict(row._mapping)
                host, boot = str(fields.pop("host")), str(fields.pop("boot_id"))
                found.append(HeldJob(job_of(fields), host, boot))
        return found

    def take_from_the_lost(self, job: Job) -> Job | None:
        """End the attempt of a worker that is gone; None when somebody did already, or the lease was renewed since.

        `job` is as it was seen when its worker was found to be gone.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            current = find_job(connection, job.id)
            if current.fence != job.fence or current.state not in HELD or current.lease_until != job.lease_until:
                return None
            state = ON_LOST_LEASE[current.state]
            reason = Reason.LOST_LEASE if state is JobState.INTERRUPTED else Reason.USER
            self._close_attempt(connection, current, Reason.LOST_LEASE, state, now, None)
            changed = change_state(connection, current, state, at=now, reason=reason)
            if state is JobState.INTERRUPTED:
                ended = Ended(JobState.INTERRUPTED, Reason.LOST_LEASE)
                changed = self._again(connection, changed, ended, now)
            return changed

    def _candidates(self, kinds: tuple[str, ...] | None) -> list[str]:
        now = self._clock.now()
        # `_is_due`, in SQL.
        due = or_(jobs.c.not_before <= now, jobs.c.not_before > now + LONGEST_DELAY_SECONDS)
        waiting = (jobs.c.state == JobState.QUEUED) & due
        query = (
            select(jobs.c.id)
            .where(waiting & ~_waits_for_another())
            .order_by(jobs.c.priority.desc(), jobs.c.seq)
            .limit(CANDIDATES)
        )
        if kinds is not None:
            query = query.where(jobs.c.kind.in_(kinds))
        with self._database.read() as connection:
            return [str(row.id) for row in connection.execute(query)]

    def _take(self, connection: Connection, job: Job, holder: Holder) -> Job | None:
        now = self._clock.now()
        # Only from the state and fence that were read: on PostgreSQL two workers may stand here at once.
        guard = (jobs.c.id == job.id) & (jobs.c.state == JobState.QUEUED) & (jobs.c.fence == job.fence)
        numbers = {"attempt": job.attempt + 1, "fence": job.fence + 1, "started_at": job.started_at or now}
        lease = {"lease_owner": holder.worker, "lease_until": now + self.lease_seconds, "progress_at": now}
        if connection.execute(update(jobs).where(guard).values(**numbers, **lease)).rowcount != 1:
            return None
        connection.execute(
            insert(attempts).values(
                job_id=job.id,
                fence=job.fence + 1,
                worker=holder.worker,
                host=holder.host,
                boot_id=holder.boot_id,
                started_at=now,
            )
        )
        return change_state(connection, find_job(connection, job.id), JobState.STARTING, at=now)

    def _own(self, connection: Connection, job: Job) -> Job:
        current = find_job(connection, job.id)
        if current.fence != job.fence or current.lease_owner != job.lease_owner or current.state not in HELD:
            raise Superseded(job.id)
        return current

    def _again(self, connection: Connection, job: Job, ended: Ended, now: float) -> Job:
        """Queue an interrupted job, later each time it dies; a job that dies again and again is left failed.

        One that found the disk full waits for a person.
        """
        if ended.reason is Reason.DISK_FULL:
            return change_state(
                connection,
                job,
                JobState.PAUSED,
                at=now,
                reason=ended.reason,
                message=job.message,
                error=ended.error,
            )
        crashed = ended.reason in (Reason.LOST_LEASE, Reason.INTERNAL)
        crashes = 0
        if crashed:
            crashes = 1 if self._advanced(connection, job) else job.crashes + 1
        if crashes >= CRASHES_ALLOWED:
            return change_state(connection, job, JobState.FAILED, at=now, reason=Reason.CRASH_LOOP, error=ended.error)
        delay = ended.retry_after_seconds
        if delay is None:
            delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (crashes - 1)) if crashed else 0.0
        return change_state(
            connection,
            job,
            JobState.QUEUED,
            at=now,
            reason=ended.reason,
            message=job.message,
            not_before=now + delay if delay else 0.0,
            crashes=crashes,
        )

    def _advanced(self, connection: Connection, job: Job) -> bool:
        """Whether the last attempt got further than the one before it."""
        query = (
            select(attempts.c.last_step).where(attempts.c.job_id == job.id).order_by(attempts.c.fence.desc()).limit(2)
        )
        steps = [row.last_step for row in connection.execute(query)]
        if len(steps) < 2 or steps[0] is None:
            return False
        return steps[1] is None or steps[0] > steps[1]

    def _close_attempt(
        self, connection: Connection, job: Job, reason: Reason, state: JobState, now: float, last_step: int | None
    ) -> None:
        step = last_step
        found = job.progress.get("step")
        if step is None and isinstance(found, int):
            step = found
        values = {"ended_at": now, "outcome": state, "reason": reason, "last_step": step}
        connection.execute(update(attempts).where(_attempt_of(job)).values(**values))

    def _write_result(self, connection: Connection, job: Job, result: JsonObject) -> None:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(result=json_text(result)))


def _is_due(not_before: float, now: float) -> bool:
    """A time that lies further off than anybody waits was given by a clock that has been set back since."""
    return not now < not_before <= now + LONGEST_DELAY_SECONDS


def _waits_for_another() -> ColumnElement[bool]:
    other = jobs.alias("other")
    before = and_(other.c.state == JobState.QUEUED, other.c.seq < jobs.c.seq)
    return jobs.c.kind.not_in(INFERENCE) & exists().where(
        (other.c.run_id == jobs.c.run_id)
        & (other.c.id != jobs.c.id)
        & other.c.kind.not_in(INFERENCE)
        & or_(other.c.state.in_(list(HELD)), before)
    )


def _held_under(job: Job) -> ColumnElement[bool]:
    return (jobs.c.id == job.id) & (jobs.c.fence == job.fence) & jobs.c.state.in_(list(HELD))


def _attempt_of(job: Job) -> ColumnElement[bool]:
    return (attempts.c.job_id == job.id) & (attempts.c.fence == job.fence)


def _as_asked(current: JobState, ended: Ended) -> tuple[JobState, Reason]:
    """An interruption that somebody asked for ends as they asked."""
    if ended.state is JobState.INTERRUPTED and current in (JobState.CANCELLING, JobState.PAUSING):
        return ON_LOST_LEASE[current], Reason.USER
    return ended.state, ended.reason
