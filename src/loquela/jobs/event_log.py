"""Everything that was said about jobs, in one order; whoever follows names the last number that it has seen."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select

from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject, project_of, seen
from loquela.jobs.records import JsonObject, Level, StoredEvent, event_of, json_text
from loquela.jobs.tables import events

# An event is of the project of the run, or job, that it is about. Put together once: events are many.
_INSERT = insert(events).values(project=project_of(bindparam("subject")))


def append_event(
    connection: Connection,
    name: str,
    *,
    at: float,
    job_id: str | None = None,
    run_id: str | None = None,
    level: Level = "info",
    message: str = "",
    data: JsonObject | None = None,
    event_id: str | None = None,
) -> None:
    """One event in the caller's transaction, so that a change and its event are there together or not at all."""
    values = {
        "id": event_id or str(uuid.uuid4()),
        "job_id": job_id,
        "run_id": run_id,
        "at": at,
        "level": level,
        "name": name,
        "message": message,
        "data": json_text(data or {}),
        "subject": run_id or job_id,
    }
    connection.execute(_INSERT, values)


class EventLog(InProject):
    """Reading events, and writing those that belong to no change of a job."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(
        self, name: str, *, job_id: str | None = None, run_id: str | None = None, data: JsonObject | None = None
    ) -> None:
        """One event in a transaction of its own."""
        with self._database.write() as connection:
            append_event(connection, name, at=self._clock.now(), job_id=job_id, run_id=run_id, data=data)

    def after(
        self, seq: int, *, job_id: str | None = None, run_id: str | None = None, limit: int = 500
    ) -> list[StoredEvent]:
        """At most `limit` events behind number `seq`, oldest first; of one job or run where it is named."""
        query = select(events).where((events.c.seq > seq) & self._seen()).order_by(events.c.seq).limit(limit)
        if job_id is not None:
            query = query.where(events.c.job_id == job_id)
        if run_id is not None:
            query = query.where(events.c.run_id == run_id)
        with self._database.read() as connection:
            return [event_of(row) for row in connection.execute(query)]

    def before(self, seq: int | None, *, job_id: str, limit: int = 100) -> list[StoredEvent]:
        """At most `limit` events of a job, newest first, older than number `seq` where that is given."""
        mine = (events.c.job_id == job_id) & self._seen()
        query = select(events).where(mine).order_by(events.c.seq.desc()).limit(limit)
        if seq is not None:
            query = query.where(events.c.seq < seq)
        with self._database.read() as connection:
            return [event_of(row) for row in connection.execute(query)]

    def seq_of(self, event_id: str) -> int | None:
        """The number of an event by its id; None when there is none."""
        with self._database.read() as connection:
            return connection.execute(select(events.c.seq).where((events.c.id == event_id) & self._seen())).scalar()

    def last_seq(self, *, run_id: str | None = None, job_id: str | None = None) -> int:
        """The number of the newest event, of one run or job where it is named; 0 when there is none."""
        query = select(events.c.seq).where(self._seen()).order_by(events.c.seq.desc()).limit(1)
        if run_id is not None:
            query = query.where(events.c.run_id == run_id)
        if job_id is not None:
            query = query.where(events.c.job_id == job_id)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return found or 0

    def _seen(self) -> ColumnElement[bool]:
        return seen(self._project, events.c.project)
