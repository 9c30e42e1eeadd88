"""Generations and scorings that were queued: claimed, answered by a warm model, their results kept in the row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.jobs.archivist import Archivist
from loquela.jobs.changes import Superseded
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.records import Job, JobError
from loquela.jobs.states import JobState, Reason
from loquela.service.inference.pool import EnginePool

KINDS = ("generate", "score")
LOOK_EVERY_SECONDS = 0.2
WAIT_FOR_DATABASE_SECONDS = 2.0
BEATS_A_LEASE = 4


class Dispatcher:
    """A thread of the API; the rows make it safe to have one in every API process."""

    def __init__(self, archivist: Archivist, claims: Claims, pool: EnginePool, holder: Holder) -> None:
        self._archivist = archivist
        self._claims = claims
        self._pool = pool
        self._holder = holder
        self._stop = threading.Event()
        self._rung = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Something was queued."""
        self._rung.set()

    def stop(self) -> None:
        """Answer no more; what is being written is left to whoever takes it up."""
        self._stop.set()
        self._rung.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                job = self._claims.claim(self._holder, KINDS)
            except LoquelaError:
                # The database is away; the rows are still there when it is back.
                self._stop.wait(WAIT_FOR_DATABASE_SECONDS)
                continue
            if job is None:
                self._pool.close_idle()
                self._rung.wait(LOOK_EVERY_SECONDS)
                self._rung.clear()
            else:
                self._answer(job)

    def _answer(self, job: Job) -> None:
        with self._beating(job):
            ended = self._ended(job)
        while True:
            try:
                self._claims.end(job, ended)
            except Superseded:
                return
            except LoquelaError as error:
                # This process lives, so that nobody else would ever end the job.
                if error.code is not ErrorCode.PERSISTENCE_FAILED or self._stop.wait(WAIT_FOR_DATABASE_SECONDS):
                    return
            else:
                return

    @contextmanager
    def _beating(self, job: Job) -> Iterator[None]:
        """Processes on other machines know by heartbeats alone that somebody answers."""
        answered = threading.Event()

        def beat() -> None:
            while not answered.wait(self._claims.lease_seconds / BEATS_A_LEASE):
                with suppress(LoquelaError, Superseded):
                    self._claims.heartbeat(job, None, advanced=True)

        thread = threading.Thread(target=beat, name="inference-beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            answered.set()
            thread.join()

    def _ended(self, job: Job) -> Ended:
        try:
            folder = self._archivist.model_folder(job.run_id)
            if not folder.is_dir():
                raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"run {job.run_id} has no model here", "train it first")
            answered = self._pool.ask(folder, job.kind, job.spec)
        except LoquelaError as error:
            why = JobError(code=error.code, message=error.message, remedy=error.remedy)
            reason = {2: Reason.RECIPE_ERROR, 3: Reason.DATA_ERROR, 4: Reason.RESOURCES}
            return Ended(
                JobState.FAILED, reason.get(error.exit_code, Reason.INTERNAL), message=error.message, error=why
            )
        result = answered.get("result")
        return Ended(JobState.SUCCEEDED, Reason.FINISHED, result=result if isinstance(result, dict) else {})
