"""Jobs whose worker is gone go back into the queue; a job that is still being worked on never does."""

from __future__ import annotations

from pathlib import Path

from loquela.jobs.claims import Claims, HeldJob
from loquela.jobs.clock import Clock, MonotonicClock
from loquela.jobs.process_facts import boot_id, host_name, is_alive
from loquela.jobs.records import INFERENCE, Job
from loquela.runs.lock import is_locked

Beat = tuple[int, float | None, float]


class Reaper:
    """Looks after leases, and asks no clock that somebody may set.

    Of a worker on this machine the process itself tells, and the lock on the run. Of one on another machine only its
    heartbeats do: it is gone when none has come for a whole lease, counted here and from the first look.
    """

    def __init__(self, data: Path, claims: Claims, clock: Clock | None = None) -> None:
        self._data = data
        self._claims = claims
        self._clock = clock or MonotonicClock()
        self._host, self._boot = host_name(), boot_id()
        # Job → its last heartbeat as it was seen, and since when it is the last.
        self._beats: dict[str, tuple[Beat, float]] = {}

    def reap(self) -> list[Job]:
        """The jobs that were taken back, as they are now."""
        taken = []
        held = self._claims.held()
        self._beats = {each.job.id: self._beat(each) for each in held}
        for each in held:
            gone = self._gone_here(each) if each.host == self._host else self._silent(each)
            if gone:
                found = self._claims.take_from_the_lost(each.job)
                if found is not None:
                    taken.append(found)
        return taken

    def _gone_here(self, held: HeldJob) -> bool:
        job = held.job
        if held.boot_id == self._boot and job.lease_owner is not None and is_alive(job.lease_owner):
            return False
        # Whoever answers requests has no process that could go on without it, and no lock of its own on the run.
        return job.kind in INFERENCE or not is_locked(self._data / "runs" / job.run_id)

    def _silent(self, held: HeldJob) -> bool:
        _, since = self._beats[held.job.id]
        return self._clock.now() - since > max(self._claims.lease_seconds, held.lease_seconds)

    def _beat(self, held: HeldJob) -> tuple[Beat, float]:
        job = held.job
        beat = (job.fence, job.lease_until, job.updated_at)
        before = self._beats.get(job.id)
        return before if before is not None and before[0] == beat else (beat, self._clock.now())
