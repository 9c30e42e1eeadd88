"""Runs that were made on the command line, shown beside the others: rows without a worker that follow their folders.

runs/<id>/ that no row knows ─▶ a row ─ status, lock, files ─▶ its state, progress, metrics, events

Whoever resumes such a run over HTTP makes it a job like any other: from its first claim on, its worker tells of it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from loquela.core.digests import digest_json
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.jobs.changes import Superseded, change_state, find_job
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.event_log import append_event
from loquela.jobs.ingest import EVENTS, METRICS, Ingester
from loquela.jobs.records import JsonObject, json_text
from loquela.jobs.run_folders import FoundRun, has_run, look_at, recipe_of
from loquela.jobs.states import TERMINAL, TRANSITIONS, JobState
from loquela.jobs.tables import jobs
from loquela.runs.lock import is_locked
from loquela.runs.status import STATUS_NAME

OWNER = "command line"
ADOPTED = "job.adopted.v1"
LABELS = {"made": "on the command line"}
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
AT_ONCE = 500
Marks = tuple[object, ...]


class Adopter:
    """Looks at the folders of runs; any process may, at any time."""

    def __init__(self, data: Path, database: Database, clock: Clock) -> None:
        self._runs = data / "runs"
        self._database = database
        self._clock = clock
        self._ingester = Ingester(database, clock)
        self._seen: dict[str, Marks] = {}

    def look(self) -> int:
        """Bring the rows up to date; how many runs had something new.

        ResourceError where the database is away, or cannot hold what a folder says: then the others were looked at.
        """
        changed = 0
        refused: LoquelaError | None = None
        for folder, known in self._folders():
            marks = _marks(folder)
            if self._seen.get(folder.name) == marks:
                continue
            try:
                self._follow(folder, known=known)
            except LoquelaError as error:
                refused = error
                continue
            self._seen[folder.name] = marks
            changed += 1
        if refused is not None:
            raise refused
        return changed

    def _folders(self) -> Iterable[tuple[Path, bool]]:
        """The folders of runs whose row only follows them, or that no row knows; whether there is one."""
        try:
            names = sorted(entry.name for entry in self._runs.iterdir() if RUN_ID.fullmatch(entry.name))
        except OSError:
            return
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            query = select(jobs.c.id, jobs.c.created_by, jobs.c.fence, jobs.c.state).where(jobs.c.id.in_(part))
            with self._database.read() as connection:
                ours = {
                    str(row.id): row.created_by == OWNER and row.fence == 0 and row.state != JobState.QUEUED
                    for row in connection.execute(query)
                }
            for name in part:
                if ours.get(name, True) and has_run(self._runs / name):
                    yield self._runs / name, name in ours

    def _follow(self, folder: Path, *, known: bool) -> None:
        found = look_at(folder)
        recipe = None if known else recipe_of(folder)
        try:
            with self._database.write() as connection:
                if known:
                    self._update(connection, folder.name, found)
                else:
                    self._adopt(connection, folder.name, found, recipe)
        except Superseded:
            return  # somebody resumed it just now: it is its worker's
        try:
            self._ingester.take(folder.name, folder.name, folder)
        except LoquelaError as error:
            if error.code is ErrorCode.PERSISTENCE_FAILED:
                raise

    def _adopt(self, connection: Connection, run_id: str, found: FoundRun, recipe: JsonObject | None) -> None:
        spec: JsonObject = {"recipe": recipe, "until": None}
        connection.execute(
            insert(jobs).values(
                id=run_id,
                kind="run",
                run_id=run_id,
                spec=json_text(spec),
                spec_digest=digest_json(spec),
                state=found.state,
                reason=found.reason,
                message=found.message,
                error=found.error.model_dump_json() if found.error is not None else None,
                labels=json_text(LABELS),
                created_by=OWNER,
                created_at=found.started_at,
                updated_at=self._clock.now(),
                started_at=found.started_at,
                ended_at=found.moved_at if found.state in TERMINAL else None,
                progress=json_text(found.progress),
                progress_at=found.moved_at,
            )
        )
        append_event(
            connection,
            ADOPTED,
            at=self._clock.now(),
            job_id=run_id,
            run_id=run_id,
            message=f"made on the command line; it is {found.state}",
            data={"to": found.state, "reason": found.reason},
        )

    def _update(self, connection: Connection, run_id: str, found: FoundRun) -> None:
        job = find_job(connection, run_id)
        if job.fence != 0 or job.state is JobState.QUEUED:
            raise Superseded(run_id)
        for state in _way(job.state, found.state):
            last = state is found.state
            job = change_state(
                connection,
                job,
                state,
                at=self._clock.now(),
                reason=found.reason if last else None,
                message=found.message if last else None,
                error=found.error if last else None,
            )
        values = {"progress": json_text(found.progress), "progress_at": found.moved_at}
        connection.execute(update(jobs).where((jobs.c.id == run_id) & (jobs.c.fence == 0)).values(**values))


def _way(old: JobState, new: JobState) -> list[JobState]:
    """The states between `old` and `new` and `new` itself, by the shortest way; none where there is no way."""
    ways: dict[JobState, list[JobState]] = {old: []}
    waiting = deque([old])
    while waiting and new not in ways:
        state = waiting.popleft()
        for following in sorted(TRANSITIONS[state]):
            if following not in ways:
                ways[following] = [*ways[state], following]
                waiting.append(following)
    return ways.get(new, [])


def _marks(folder: Path) -> Marks:
    """What changes when there is something new to tell of a run."""
    found: list[object] = [is_locked(folder)]
    for name in (STATUS_NAME, METRICS, EVENTS):
        try:
            stated = (folder / name).stat()
            found += [stated.st_mtime_ns, stated.st_size]
        except OSError:
            found.append(None)
    return tuple(found)
