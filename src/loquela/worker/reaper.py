"""Jobs whose worker is gone go back into the queue; a job that is still being worked on never does."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from loquela.jobs.claims import Claims
from loquela.jobs.database import Database
from loquela.jobs.process_facts import boot_id, host_name, is_alive
from loquela.jobs.records import Job, job_of
from loquela.jobs.states import HELD
from loquela.jobs.tables import attempts, jobs
from loquela.runs.lock import is_locked


class Reaper:
    """Looks after leases.

    Of a worker on this machine the process itself tells, and the lock on the run: neither depends on a clock. Of one
    on another machine only its lease can.
    """

    def __init__(self, data: Path, database: Database, claims: Claims) -> None:
        self._data = data
        self._database = database
        self._claims = claims
        self._host, self._boot = host_name(), boot_id()

    def reap(self) -> list[Job]:
        """The jobs that were taken back, as they are now."""
        taken = []
        overdue = {job.id for job in self._claims.lost()}
        for job, host, boot in self._held():
            here = host == self._host
            gone = self._gone(job, boot) if here else job.id in overdue
            if gone and not (here and is_locked(self._data / "runs" / job.run_id)):
                found = self._claims.take_from_the_lost(job, proven=here)
                if found is not None:
                    taken.append(found)
        return taken

    def _gone(self, job: Job, boot: str) -> bool:
        return boot != self._boot or job.lease_owner is None or not is_alive(job.lease_owner)

    def _held(self) -> list[tuple[Job, str, str]]:
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
                found.append((job_of(fields), host, boot))
        return found
