"""Decides on everything that happened since the last turn: events in their order, then what only time can change."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import Connection, select

from loquela.jobs.adopter import ADOPTED, OWNER
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.records import Job, JobKind, StoredEvent, event_of, job_of
from loquela.jobs.states import HELD
from loquela.jobs.tables import deliveries, events, jobs
from loquela.monitoring.alerts.decision import decide
from loquela.monitoring.alerts.memory import AlertMemory
from loquela.monitoring.alerts.notification import Notification
from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.alerts.of_events import of_job, of_work
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.routing import held_back, released, wants
from loquela.service.alerts.policy import InForce
from loquela.service.alerts.rows import (
    NewDelivery,
    Outcome,
    Turn,
    begin,
    forget_old,
    gone_here,
    read_memories,
    read_turn,
    write_turn,
)

EVENTS_A_TURN = 500
LEASE_SECONDS = 20.0
TICK_SECONDS = 5.0
SERVICE = "service"
# Jobs whose failure somebody should hear of without having waited for the answer.
LONG_KINDS: tuple[JobKind, ...] = ("run", "tokenizer", "evaluate", "export")


class Evaluation:
    """Turns of one process; of several processes one has the turn until its lease ends."""

    def __init__(self, database: Database, clock: Clock, in_force: InForce, data: Path, owner: str) -> None:
        self._database, self._clock, self._in_force = database, clock, in_force
        self._data, self._owner = data, owner
        self._ticked_at: float | None = None

    def turn(self) -> int:
        """Look at what is new; how many events that were. Errors as `Database.write`."""
        now = self._clock.now()
        with self._database.read() as connection:
            before = read_turn(connection)
            others = before is not None and before.owner != self._owner and not gone_here(before.owner)
            # A lease that ends in a far future was given by a clock that went wrong.
            if before is not None and others and now < before.until <= now + LEASE_SECONDS:
                return 0
            work = None if before is None else _Work(self._in_force.policy, connection, now, before.seq)
            found = self._look(connection, work, before, now) if before is not None and work is not None else 0
        if before is None or work is None:
            with self._database.write() as connection:
                begin(connection, self._owner, now + LEASE_SECONDS)
            return 0
        due = before.owner != self._owner or before.until - now < LEASE_SECONDS / 2
        if not due and not found and not work.changed:
            return 0
        with self._database.write() as connection:
            if not write_turn(connection, before, self._owner, now + LEASE_SECONDS, now, work.outcome):
                return 0
            if due:
                forget_old(connection, now)
        return found

    def _look(self, connection: Connection, work: _Work, before: Turn, now: float) -> int:
        new = _events_after(connection, before.seq)
        of_jobs = _jobs_of(connection, {event.job_id for event in new if event.job_id is not None})
        for event in new:
            work.event(event, of_jobs.get(event.job_id or ""))
        if self._ticked_at is None or not 0 <= now - self._ticked_at < TICK_SECONDS:
            self._ticked_at = now
            work.time(_held(connection), self._free_bytes())
        work.release()
        return len(new)

    def _free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._data).free
        except OSError:
            return None


class _Work:
    """One turn while it is made: nothing is written yet."""

    def __init__(self, policy: AlertPolicy, connection: Connection, now: float, seq: int) -> None:
        self.outcome = Outcome(seq)
        self.changed = False
        self._policy, self._connection, self._now = policy, connection, now
        self._memories: dict[str, AlertMemory] = {}

    def event(self, event: StoredEvent, job: Job | None) -> None:
        """One event, in its turn."""
        self.outcome.seq = event.seq
        if event.name.startswith("alert.") or (job is not None and _found_at_rest(event, job)):
            return
        if event.name.startswith("job.") and job is not None:
            self._job(event, job)
        elif event.run_id is not None:
            self._see(event.run_id, of_work(event.name, event.data))

    def _job(self, event: StoredEvent, job: Job) -> None:
        seen = of_job(event.name, event.data, job.error.code if job.error is not None else None)
        if job.kind == "deploy_check":
            if seen.outcome in ("finished", "failed"):
                passed = seen.outcome == "finished"
                self._see(job.run_id, Observation(kind="deployment_checked", passed=passed))
        elif job.kind in LONG_KINDS:
            self._see(job.run_id if job.kind == "run" else job.id, seen)

    def time(self, held: list[Job], free_bytes: int | None) -> None:
        """What no event tells: silence, windows that pass, the disk."""
        for job in held:
            if job.kind == "run":
                self._see(job.run_id, Observation(kind="alive", moved_at=job.progress_at))
        for subject in read_memories(self._connection):
            self._see(subject, Observation(kind="tick"))
        self._see(SERVICE, Observation(kind="disk", free_bytes=free_bytes))

    def release(self) -> None:
        """What was held back, when quiet hours are over."""
        hours = self._policy.quiet_hours
        if hours is not None and hours.quiet_at(self._now):
            return
        waiting: dict[str, list[Notification]] = {}
        for row in self._connection.execute(
            select(deliveries).where(deliveries.c.state == "held").order_by(deliveries.c.seq)
        ):
            waiting.setdefault(row.channel, []).append(Notification.model_validate_json(row.notification))
            self.outcome.summed_up.append(row.seq)
        for channel in self._policy.channels:
            for told in released(channel.kind, waiting.get(channel.name, []), self._now):
                self.outcome.deliveries.append(NewDelivery(channel.name, told, released=True))
        self.changed = self.changed or bool(waiting)

    def _see(self, subject: str, seen: Observation) -> None:
        memory = self._memory(subject)
        decision = decide(self._policy.rules, memory, seen, subject, self._now)
        self._memories[subject] = decision.memory
        # When it last moved is read from the job again; for that alone nothing is written.
        if decision.memory.model_copy(update={"moved_at": memory.moved_at}) != memory:
            self.outcome.memories[subject] = decision.memory
            self.changed = True
        for notification in decision.notifications:
            self._tell(notification)

    def _memory(self, subject: str) -> AlertMemory:
        if subject not in self._memories:
            found = read_memories(self._connection, [subject])
            self._memories[subject] = found.get(subject) or AlertMemory()
        return self._memories[subject]

    def _tell(self, notification: Notification) -> None:
        self.outcome.told.append(notification)
        for channel in self._policy.channels:
            if wants(channel, notification):
                held = held_back(self._policy.quiet_hours, notification, self._now)
                self.outcome.deliveries.append(NewDelivery(channel.name, notification, held))


def _found_at_rest(event: StoredEvent, job: Job) -> bool:
    """What a run of the command line wrote before it was found at rest alarms nobody any more."""
    changed = event.name.startswith("job.") and event.name != ADOPTED
    return job.created_by == OWNER and job.fence == 0 and job.state not in HELD and not changed


def _events_after(connection: Connection, seq: int) -> list[StoredEvent]:
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(EVENTS_A_TURN)
    return [event_of(row) for row in connection.execute(query)]


def _jobs_of(connection: Connection, ids: set[str]) -> dict[str, Job]:
    if not ids:
        return {}
    return {job.id: job for job in map(job_of, connection.execute(select(jobs).where(jobs.c.id.in_(ids))))}


def _held(connection: Connection) -> list[Job]:
    return [job_of(row) for row in connection.execute(select(jobs).where(jobs.c.state.in_(list(HELD))))]
