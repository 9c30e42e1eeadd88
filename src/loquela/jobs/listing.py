"""Looking jobs up, in pages that cost the same however many there are."""

from __future__ import annotations

from sqlalchemy import select

from loquela.core.model import BoundaryModel
from loquela.jobs.changes import find_job
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject, seen
from loquela.jobs.records import Job, job_of
from loquela.jobs.states import JobState
from loquela.jobs.tables import jobs

LARGEST_PAGE = 200


class JobPage(BoundaryModel):
    """Some jobs, newest first; `next_before` asks for those behind them, None where there are no more."""

    jobs: list[Job]
    next_before: int | None


class Listing(InProject):
    """Reads; never writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: str) -> Job:
        """One job; RecipeError(RUN_NOT_FOUND) when there is none."""
        with self._database.read() as connection:
            return find_job(connection, job_id, self._project)

    def page(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        kind: str | None = None,
        without: tuple[str, ...] = (),
        run_id: str | None = None,
        states: tuple[JobState, ...] | None = None,
    ) -> JobPage:
        """The newest `limit` (at most 200) jobs that fit, of those with a smaller `seq` than `before`."""
        size = max(1, min(limit, LARGEST_PAGE))
        query = select(jobs).where(seen(self._project, jobs.c.project)).order_by(jobs.c.seq.desc()).limit(size + 1)
        if before is not None:
            query = query.where(jobs.c.seq < before)
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if without:
            query = query.where(jobs.c.kind.not_in(without))
        if run_id is not None:
            query = query.where(jobs.c.run_id == run_id)
        if states is not None:
            query = query.where(jobs.c.state.in_(states))
        with self._database.read() as connection:
            found = [job_of(row) for row in connection.execute(query)]
        more = len(found) > size
        return JobPage(jobs=found[:size], next_before=found[size - 1].seq if more else None)
