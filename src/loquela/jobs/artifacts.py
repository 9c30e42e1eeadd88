"""What lies in the store of artifacts, and which runs are not there yet as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field
from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.adopter import OWNER
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.event_log import append_event
from loquela.jobs.projects import InProject, seen_by_subject
from loquela.jobs.records import JsonObject, Level
from loquela.jobs.states import TERMINAL, JobState
from loquela.jobs.tables import artifacts, events, jobs
from loquela.runs.stored.packing import StoredPart
from loquela.runs.stored.trees import ArtifactKind

LARGEST_PAGE = 200
# They ask a model something, and write nothing into its run.
ASKING = ("generate", "score", "chat")
# They make a run's folder.
MAKING = ("run", "tokenizer")
# Made on the command line, and never gone on with by a worker of the service.
FOUND = (jobs.c.created_by == OWNER) & (jobs.c.fence == 0)
STORED, STORE_FAILED = "artifact.stored.v1", "artifact.store_failed.v1"
BEGUN = "service.begun.v1"


class Artifact(BoundaryModel):
    """One tarball; times are seconds since 1970, UTC.

    `subject` is the id of its run; an export has the name of its bundle behind it.
    """

    seq: int
    kind: ArtifactKind
    subject: str
    run_id: str
    store: str
    sha256: str
    size_bytes: int
    files: int
    as_of: float
    verified_at: float
    cleaned_at: float | None = Field(None, description="when its folders were last removed")


class ArtifactPage(BoundaryModel):
    """Some artifacts, newest first; `next_before` asks for older ones."""

    artifacts: list[Artifact]
    next_before: int | None


class Artifacts(InProject):
    """The table `artifacts`. `store` names the place that is in use; rows of another place count as not stored."""

    def __init__(self, database: Database, clock: Clock, store: str) -> None:
        self._database = database
        self._clock = clock
        self.store = store

    def due(self, among: Collection[str] | None = None) -> list[str]:
        """Runs that succeeded and are not stored as they are since the last job on them ended, oldest first.

        Of all runs that the service made, or of those `among`. Runs of the command line are their maker's: nothing is
        stored of them unless somebody asks.
        """
        made = (jobs.c.kind.in_(MAKING)) & (jobs.c.state == JobState.SUCCEEDED) & ~FOUND
        worked = jobs.c.kind.not_in(ASKING) & jobs.c.ended_at.is_not(None)
        whole = (artifacts.c.kind == "run") & (artifacts.c.store == self.store)
        if among is not None:
            made, worked = made & jobs.c.run_id.in_(among), worked & jobs.c.run_id.in_(among)
            whole = whole & artifacts.c.run_id.in_(among)
        ended = func.max(jobs.c.ended_at).label("ended")
        # Three plain reads: a join of the three takes a database minutes when there are ten thousand runs.
        with self._database.read() as connection:
            runs = connection.execute(select(jobs.c.run_id).where(made)).scalars().all()
            last = {
                row.run_id: row.ended
                for row in connection.execute(select(jobs.c.run_id, ended).where(worked).group_by(jobs.c.run_id))
            }
            stored = {
                row.run_id: row.as_of
                for row in connection.execute(select(artifacts.c.run_id, artifacts.c.as_of).where(whole))
            }
        # What was stored in the future was stored by a clock that has been set back since.
        now = self._clock.now()
        found = {run_id for run_id in runs if run_id not in stored or not last[run_id] <= stored[run_id] <= now}
        return sorted(found, key=lambda run_id: (last[run_id], run_id))

    def ended_since(self, seq: int) -> tuple[set[str], int]:
        """Runs on which a job has ended behind event number `seq`, and the number of the newest event."""
        over = [f"job.{state}.v1" for state in TERMINAL]
        query = select(events.c.run_id).where((events.c.seq > seq) & events.c.name.in_(over))
        with self._database.read() as connection:
            newest = connection.execute(select(func.max(events.c.seq))).scalar() or 0
            return {str(run_id) for run_id in connection.execute(query).scalars()}, newest

    def add(self, run_id: str, parts: list[StoredPart], *, as_of: float) -> list[str]:
        """Write down what was stored of a run, in place of what was stored of it before, and say so in one event.

        Gives back the digests of whole runs that nothing refers to any more.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            mine = artifacts.c.run_id == run_id
            before = connection.execute(select(artifacts.c.sha256).where(mine & (artifacts.c.kind == "run"))).scalars()
            old = set(before) - {part.tarball.sha256 for part in parts}
            connection.execute(delete(artifacts).where(mine))
            for part in parts:
                connection.execute(
                    insert(artifacts).values(
                        kind=part.kind,
                        subject=part.subject,
                        run_id=run_id,
                        store=self.store,
                        sha256=part.tarball.sha256,
                        size_bytes=part.tarball.size_bytes,
                        files=part.tarball.files,
                        as_of=as_of,
                        verified_at=now,
                    )
                )
            whole = parts[0].tarball
            data: JsonObject = {"file_id": whole.sha256, "size_bytes": whole.size_bytes, "files": whole.files}
            append_event(connection, STORED, at=now, job_id=run_id, run_id=run_id, data=data)
            needed = set(connection.execute(select(artifacts.c.sha256).where(artifacts.c.sha256.in_(old))).scalars())
        return sorted(old - needed)

    def failed(self, run_id: str, message: str) -> None:
        """Say that a run could not be stored."""
        with self._database.write() as connection:
            append_event(
                connection,
                STORE_FAILED,
                at=self._clock.now(),
                job_id=run_id,
                run_id=run_id,
                level="warn",
                message=message,
            )

    def of_run(self, run_id: str) -> list[Artifact]:
        """What is stored of a run; nothing where it was not stored yet."""
        query = select(artifacts).where((artifacts.c.run_id == run_id) & self._seen()).order_by(artifacts.c.seq)
        with self._database.read() as connection:
            return [_artifact(row) for row in connection.execute(query)]

    def get(self, kind: ArtifactKind, subject: str) -> Artifact:
        """The newest of that name; RecipeError(RUN_NOT_FOUND) when there is none."""
        fits = (artifacts.c.kind == kind) & (artifacts.c.subject == subject)
        query = select(artifacts).where(fits & self._seen()).order_by(artifacts.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise RecipeError(
                ErrorCode.RUN_NOT_FOUND,
                f"there is no stored {kind} {subject!r}",
                "list what is stored: GET /artifacts; a run is stored after it has succeeded",
            )
        return _artifact(row)

    def page(self, *, before: int | None = None, limit: int = 50, kind: ArtifactKind | None = None) -> ArtifactPage:
        """The newest `limit` (at most 200) artifacts, of those with a smaller `seq` than `before`."""
        size = max(1, min(limit, LARGEST_PAGE))
        query = select(artifacts).where(self._seen()).order_by(artifacts.c.seq.desc()).limit(size + 1)
        if before is not None:
            query = query.where(artifacts.c.seq < before)
        if kind is not None:
            query = query.where(artifacts.c.kind == kind)
        with self._database.read() as connection:
            found = [_artifact(row) for row in connection.execute(query)]
        return ArtifactPage(artifacts=found[:size], next_before=found[size - 1].seq if len(found) > size else None)

    def all(self) -> Iterator[Artifact]:
        """Everything that is stored, newest first."""
        before: int | None = None
        while True:
            page = self.page(before=before, limit=LARGEST_PAGE)
            yield from page.artifacts
            if page.next_before is None:
                return
            before = page.next_before

    def cleanable(self, verified_before: float) -> list[Artifact]:
        """Whole runs that may be cleaned by what the rows say, those stored first coming first.

        Made by the service, stored in the place in use before that time, and with no job on them that is still to end.
        Whether their folders are here is in their pointers.
        """
        stay = select(jobs.c.run_id).where(jobs.c.state.not_in(list(TERMINAL)) | FOUND)
        fits = (artifacts.c.kind == "run") & (artifacts.c.store == self.store)
        query = select(artifacts).where(
            fits & (artifacts.c.verified_at <= verified_before) & artifacts.c.run_id.not_in(stay)
        )
        with self._database.read() as connection:
            return [_artifact(row) for row in connection.execute(query.order_by(artifacts.c.verified_at))]

    def named(self) -> set[str]:
        """The digests of all tarballs that a row names, in whatever store."""
        with self._database.read() as connection:
            return set(connection.execute(select(artifacts.c.sha256).distinct()).scalars())

    def mark(self) -> str:
        """What this service is called in a store: the id of the first event of its database, which no other has."""
        with self._database.write() as connection:
            first = select(events.c.id).order_by(events.c.seq).limit(1)
            if connection.execute(first).scalar() is None:
                append_event(connection, BEGUN, at=self._clock.now())
            return str(connection.execute(first).scalar_one())

    def cleaned(
        self, artifact: Artifact | None, name: Literal["completed", "dry_run", "failed"], data: JsonObject
    ) -> None:
        """Say what a clean-up did; where it removed a run's folders, write that down with it."""
        now = self._clock.now()
        level: Level = "warn" if name == "failed" else "info"
        run_id = artifact.run_id if artifact is not None else None
        with self._database.write() as connection:
            if artifact is not None and name == "completed":
                connection.execute(update(artifacts).where(artifacts.c.seq == artifact.seq).values(cleaned_at=now))
            append_event(
                connection,
                f"artifact.cleanup_{name}.v1",
                at=now,
                job_id=run_id,
                run_id=run_id,
                level=level,
                data={"event": f"cleanup_{name}", **data},
            )

    def _seen(self) -> ColumnElement[bool]:
        return seen_by_subject(self._project, artifacts.c.run_id)


def _artifact(row: Row[tuple[object, ...]]) -> Artifact:
    return Artifact.model_validate(dict(row._mapping))
