"""Asking for work: one row and its event in one transaction; the same request twice is one job."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, insert, select

from loquela.core.digests import digest_json
from loquela.core.errors import ErrorCode, LimitError, RecipeError
from loquela.jobs.audit import AuditLog
from loquela.jobs.changes import find_job
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.event_log import append_event
from loquela.jobs.projects import InProject, project_of
from loquela.jobs.records import MAKES_A_RUN, Job, JsonObject, NewJob, json_text
from loquela.jobs.states import JobState
from loquela.jobs.tables import idempotency_keys, jobs

# Asking a model for text changes nothing and gives away nothing that reading does not.
UNAUDITED = ("generate", "score", "chat")
# When to ask again of a queue that is full.
FULL_QUEUE_SECONDS = 60


class Submissions(InProject):
    """Where jobs come from. A run is of the project of whoever asks for it, a job on a run of the run's."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        most_queued: Callable[[], int] | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        """`most_queued`: how many jobs of one owner may wait at once; `audit`: where what is queued is written down."""
        self._database = database
        self._clock = clock
        self._most_queued = most_queued
        self._audit = audit

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, request: JsonObject | None = None) -> Job:
        """Queue a job, or return the one that the same key made from the same request.

        `request` is what the caller was sent; `new.spec` where it is not given. Raises RecipeError(CONFIG_INVALID)
        where the key was used for another request, RecipeError(RUN_NOT_FOUND) where the caller's project has no such
        run to work on, LimitError(RATE_LIMITED) where too many jobs wait.
        """
        digest = digest_json(request if request is not None else new.spec)
        audit = self._audit if new.kind not in UNAUDITED else None
        with audit.writing() if audit is not None else self._database.write() as connection:
            if idempotency_key is not None:
                earlier = self._earlier(connection, new.created_by, idempotency_key, digest)
                if earlier is not None:
                    return earlier
            self._check_run(connection, new)
            self._check_room(connection, new.created_by)
            job = self._insert(connection, new, digest)
            if idempotency_key is not None:
                connection.execute(
                    insert(idempotency_keys).values(
                        owner=new.created_by,
                        key=idempotency_key,
                        request_digest=digest,
                        job_id=job.id,
                        created_at=self._clock.now(),
                    )
                )
            if audit is not None:
                audit.append(connection, f"{job.kind}.submit", job.id, details={"run_id": job.run_id, "spec": digest})
            return job

    def _check_run(self, connection: Connection, new: NewJob) -> None:
        if self._project is not None and new.kind not in MAKES_A_RUN:
            find_job(connection, new.run_id, self._project)

    def _check_room(self, connection: Connection, owner: str) -> None:
        if self._most_queued is None:
            return
        waiting = select(func.count()).where((jobs.c.state == JobState.QUEUED) & (jobs.c.created_by == owner))
        most = self._most_queued()
        if connection.execute(waiting).scalar_one() >= most:
            raise LimitError(
                ErrorCode.RATE_LIMITED,
                f"{most} jobs of {owner} are waiting, which is the most",
                "wait until some have ended, cancel some, or raise max_queued_jobs",
                retryable=True,
                details={"retry_after_seconds": FULL_QUEUE_SECONDS},
            )

    def _earlier(self, connection: Connection, owner: str, key: str, digest: str) -> Job | None:
        found = connection.execute(
            select(idempotency_keys.c.request_digest, idempotency_keys.c.job_id).where(
                (idempotency_keys.c.owner == owner) & (idempotency_keys.c.key == key)
            )
        ).one_or_none()
        if found is None:
            return None
        if found.request_digest != digest:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"the Idempotency-Key {key!r} was used for another request, which made {found.job_id}",
                "send a new key with a new request",
                details={"job_id": found.job_id},
            )
        return find_job(connection, found.job_id, self._project)

    def _insert(self, connection: Connection, new: NewJob, digest: str) -> Job:
        now = self._clock.now()
        connection.execute(
            insert(jobs).values(
                id=new.id,
                kind=new.kind,
                run_id=new.run_id,
                spec=json_text(new.spec),
                spec_digest=digest,
                state=JobState.QUEUED,
                priority=new.priority,
                labels=json_text(new.labels),
                created_by=new.created_by,
                project=self._project if new.kind in MAKES_A_RUN else project_of(new.run_id),
                created_at=now,
                updated_at=now,
            )
        )
        job = find_job(connection, new.id)
        append_event(
            connection,
            "job.queued.v1",
            at=now,
            job_id=job.id,
            run_id=job.run_id,
            message="",
            data={"kind": job.kind, "to": JobState.QUEUED},
        )
        return job
