"""The worker's loop: take back what was lost, claim, supervise, again; stop when asked, with everything saved."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

from loquela.core.errors import ErrorCode, LoquelaError
from loquela.jobs.claims import Claims, Holder
from loquela.jobs.clock import Clock, SystemClock
from loquela.jobs.database import Database
from loquela.jobs.doorbell.contract import Doorbell
from loquela.jobs.ingest import Ingester
from loquela.jobs.process_facts import boot_id, host_name, worker_name
from loquela.jobs.records import Job
from loquela.jobs.states import JobState
from loquela.worker.kinds import PERFORMERS
from loquela.worker.reaper import Reaper
from loquela.worker.supervision import Supervision

REAP_EVERY_SECONDS = 2.0
LONGEST_DATABASE_WAIT_SECONDS = 30.0


class Worker:
    """Works on one job at a time; as many workers as there are processes.

    A database that goes away is waited for; a job in work goes on meanwhile, as its trainer needs none.
    """

    def __init__(
        self,
        data: Path,
        database: Database,
        doorbell: Doorbell,
        *,
        clock: Clock | None = None,
        lease_seconds: float = 30.0,
        beat_seconds: float = 2.0,
        grace_seconds: float = 120.0,
        kinds: tuple[str, ...] = tuple(PERFORMERS),
    ) -> None:
        self.data = data
        self.holder = Holder(worker_name(), host_name(), boot_id())
        time_of = clock or SystemClock()
        self.claims = Claims(database, time_of, lease_seconds=lease_seconds)
        self._database = database
        self._doorbell = doorbell
        self._clock = time_of
        self._kinds = kinds
        self._stop = threading.Event()
        self._due_at = math.inf
        # Silence is counted by a clock that nobody sets.
        self._reaper = Reaper(data, self.claims, clock)
        self._supervision = Supervision(
            data,
            self.claims,
            Ingester(database, time_of),
            beat_seconds=beat_seconds,
            grace_seconds=grace_seconds,
            shutting_down=self._stop.is_set,
        )

    def stop(self) -> None:
        """Claim nothing more, and save what is in work; safe to call from a signal handler or another thread."""
        self._stop.set()
        self._doorbell.wake()

    def run(self) -> None:
        """Work until `stop`."""
        wait = 0.5
        reaped_at = float("-inf")
        while not self._stop.is_set():
            try:
                if time.monotonic() - reaped_at >= REAP_EVERY_SECONDS:
                    for taken in self._reaper.reap():
                        self._ring_for(taken)
                    reaped_at = time.monotonic()
                job = self.claims.claim(self.holder, self._kinds)
                wait = 0.5
            except LoquelaError as error:
                if error.code is not ErrorCode.PERSISTENCE_FAILED:
                    raise
                self._stop.wait(wait)
                wait = min(LONGEST_DATABASE_WAIT_SECONDS, wait * 2)
                continue
            if job is None:
                self._doorbell.wait(self._until_due())
            else:
                self.work(job)

    def work(self, job: Job) -> Job | None:
        """Bring one claimed job to its end; whoever waits hears of one that is queued again."""
        done = self._supervision.work(job)
        if done is not None:
            self._ring_for(done)
        return done

    def _ring_for(self, job: Job) -> None:
        """A job that is tried again later is looked for then, by this worker at least."""
        if job.state is not JobState.QUEUED:
            return
        if job.not_before > self._clock.now():
            self._due_at = min(self._due_at, job.not_before)
        else:
            self._doorbell.ring(job.id, job.fence)

    def _until_due(self) -> float:
        wait = self._due_at - self._clock.now()
        if wait <= 0:
            self._due_at = math.inf
        return min(REAP_EVERY_SECONDS, max(0.0, wait))
