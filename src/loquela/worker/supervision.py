"""One job from claim to end: its process is started, beaten for, asked to stop, and judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from loquela.core.atomic import write_error
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.jobs.changes import Superseded
from loquela.jobs.claims import Claims, Ended
from loquela.jobs.ingest import EVENTS, METRICS, Ingester
from loquela.jobs.records import MAKES_A_RUN, Job, JobError, JsonObject
from loquela.jobs.states import JobState, Reason
from loquela.runs.status import STATUS_NAME, PipelineStatus
from loquela.worker.child_process import ChildProcess
from loquela.worker.folders import OUTPUT, job_folder, prepare_folder
from loquela.worker.outcome import judge

LOOK_EVERY_SECONDS = 0.1
TAKE_EVERY_SECONDS = 0.5
# Between two tries while the database is away.
AWAY_SECONDS = 1.0
STOPPING = frozenset({JobState.PAUSING, JobState.CANCELLING})


class Supervision:
    """Works on one claimed job; `beat_seconds` is far below the lease."""

    def __init__(
        self,
        data: Path,
        claims: Claims,
        ingester: Ingester,
        *,
        beat_seconds: float,
        grace_seconds: float,
        shutting_down: Callable[[], bool],
    ) -> None:
        self._data = data
        self._claims = claims
        self._ingester = ingester
        self._beat_seconds = beat_seconds
        self._grace_seconds = grace_seconds
        self._shutting_down = shutting_down
        self._moved: tuple[object, ...] = ()
        self._taken: tuple[object, ...] = ()

    def work(self, job: Job) -> Job | None:
        """Bring a claimed job to its end; None when it became another worker's, and nothing more was written."""
        self._taken = ()
        try:
            folder = prepare_folder(self._data, job)
            child = ChildProcess(folder, grace_seconds=self._grace_seconds)
        except (OSError, LoquelaError) as error:
            return self._cannot_start(job, error)
        try:
            code = self._until_it_ends(job, child)
            ended = judge(code, folder, shutting_down=self._shutting_down())
            return self._end(job, ended)
        except Superseded:
            return None
        finally:
            if child.poll() is None:
                child.kill()

    def _until_it_ends(self, job: Job, child: ChildProcess) -> int:
        beat_at = take_at = time.monotonic()
        told = False
        while (code := child.poll()) is None:
            if self._shutting_down():
                child.ask_to_stop()
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + self._beat_seconds
                told = told or self._started(job, child)
                if self._beat(job).state in STOPPING:
                    child.ask_to_stop()
            # Whoever follows the run waits for this, not for the lease.
            if time.monotonic() >= take_at:
                take_at = time.monotonic() + TAKE_EVERY_SECONDS
                self._take_in(job)
            time.sleep(LOOK_EVERY_SECONDS)
        return code

    def _started(self, job: Job, child: ChildProcess) -> bool:
        """Say that the process is there; false where the database is away and hears it later."""
        try:
            self._claims.started(job, child.pid)
        except LoquelaError as error:
            if error.code is not ErrorCode.PERSISTENCE_FAILED:
                raise
            return False
        return True

    def _end(self, job: Job, ended: Ended) -> Job:
        """Take in the last lines and write the end down, in this order, as soon as the database is back.

        What was done is not done again for that, and nobody is told of an end before all that led to it is there.

        Raises ResourceError(PERSISTENCE_FAILED) where the worker is asked to stop before; the next one finds the job.
        """
        while True:
            try:
                self._take(job)
                return self._claims.end(job, ended, last_step=self._step(job))
            except LoquelaError as error:
                if error.code is not ErrorCode.PERSISTENCE_FAILED or self._shutting_down():
                    raise
            time.sleep(AWAY_SECONDS)

    def _beat(self, job: Job) -> Job:
        """Keep the lease. A database that is away for a moment is not yet a lost lease: the fence will tell."""
        status = self._status(job)
        progress: JsonObject | None = dict(status.progress) | {"phase": status.current_phase} if status else None
        moved = self._marks(job)
        advanced = moved != self._moved
        self._moved = moved
        try:
            return self._claims.heartbeat(job, progress, advanced=advanced)
        except LoquelaError as error:
            if error.code is not ErrorCode.PERSISTENCE_FAILED:
                raise
            return job

    def _take_in(self, job: Job) -> None:
        """What the work has written about itself since; a database that is away gets it later."""
        try:
            self._take(job)
        except LoquelaError as error:
            if error.code is not ErrorCode.PERSISTENCE_FAILED:
                raise

    def _take(self, job: Job) -> None:
        marks = self._marks(job)
        if marks == self._taken:
            return
        if job.kind in MAKES_A_RUN:
            self._ingester.take(job.run_id, job.id, self._writes_into(job))
        else:
            self._ingester.take_events(job.run_id, job.id, self._writes_into(job))
        self._taken = marks

    def _marks(self, job: Job) -> tuple[object, ...]:
        """What changes when the work itself moves: the sizes of its own append-only files."""
        folder = self._writes_into(job)
        return tuple(_size(folder / name) for name in (EVENTS, METRICS, OUTPUT))

    def _writes_into(self, job: Job) -> Path:
        """Where the work writes about itself: the run that it makes, else its own papers."""
        return self._data / "runs" / job.run_id if job.kind in MAKES_A_RUN else job_folder(self._data, job.id)

    def _status(self, job: Job) -> PipelineStatus | None:
        if job.kind not in MAKES_A_RUN:
            return None
        try:
            text = (self._data / "runs" / job.run_id / STATUS_NAME).read_bytes()
            return PipelineStatus.model_validate_json(text)
        except (OSError, ValidationError):
            return None

    def _step(self, job: Job) -> int | None:
        status = self._status(job)
        step = status.progress.get("step") if status else None
        return step if isinstance(step, int) else None

    def _cannot_start(self, job: Job, error: OSError | LoquelaError) -> Job | None:
        found = write_error(error, self._data) if isinstance(error, OSError) else error
        why = JobError(
            code=found.code,
            message=f"the job's process could not be started: {found.message}",
            remedy="see that the data folder is writable and the disk not full, then resume it",
        )
        full = found.code is ErrorCode.DISK_FULL
        try:
            return self._end(job, Ended(JobState.INTERRUPTED, Reason.DISK_FULL if full else Reason.INTERNAL, error=why))
        except Superseded:
            return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
