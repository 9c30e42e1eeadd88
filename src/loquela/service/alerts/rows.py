"""The rows behind alerts: whose turn it is and how far it came, what is remembered of each subject, what is to be sent.

A turn is written in one transaction, only by who read the turn before it: memories, deliveries, events and the number
of the last event that was looked at are there together or not at all. So each event is decided on once, whoever is
killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid5

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from loquela.core.model import BoundaryModel
from loquela.jobs.event_log import append_event
from loquela.jobs.process_facts import host_name, is_alive
from loquela.jobs.records import Level
from loquela.jobs.tables import alert_memories, alert_turns, deliveries, events
from loquela.monitoring.alerts.memory import AlertMemory
from loquela.monitoring.alerts.notification import NAMESPACE, Notification

TURN = "alerts"
FORGOTTEN_AFTER_SECONDS = 30 * 86_400


class Turn(BoundaryModel):
    """Who evaluates until when, and the last event that was looked at."""

    owner: str
    until: float
    number: int
    seq: int


@dataclass(frozen=True)
class NewDelivery:
    """A message for a channel; `held`: until quiet hours end; `released`: it was."""

    channel: str
    notification: Notification
    held: bool = False
    released: bool = False

    @property
    def id(self) -> str:
        """The same message for the same channel has the same; one that is told after it was held has another."""
        return str(uuid5(NAMESPACE, f"{self.notification.id}:{self.channel}:{self.released}"))


@dataclass
class Outcome:
    """What one turn leaves behind."""

    seq: int
    memories: dict[str, AlertMemory] = field(default_factory=dict)
    deliveries: list[NewDelivery] = field(default_factory=list)
    summed_up: list[int] = field(default_factory=list)
    told: list[Notification] = field(default_factory=list)


def read_turn(connection: Connection) -> Turn | None:
    """The last turn; None before the first."""
    row = connection.execute(select(alert_turns).where(alert_turns.c.name == TURN)).one_or_none()
    return None if row is None else Turn(owner=row.owner, until=row.until, number=row.number, seq=row.seq)


def begin(connection: Connection, owner: str, until: float) -> None:
    """The first turn, from now on: what happened before is nobody's alert."""
    if read_turn(connection) is not None:
        return
    last = connection.execute(select(events.c.seq).order_by(events.c.seq.desc()).limit(1)).scalar() or 0
    connection.execute(insert(alert_turns).values(name=TURN, owner=owner, until=until, number=1, seq=last))


def write_turn(connection: Connection, before: Turn, owner: str, until: float, now: float, outcome: Outcome) -> bool:
    """Write a turn behind `before`; false, with nothing written, when somebody else has."""
    guard = (alert_turns.c.name == TURN) & (alert_turns.c.number == before.number)
    values = {"owner": owner, "until": until, "number": before.number + 1, "seq": outcome.seq}
    if connection.execute(update(alert_turns).where(guard).values(**values)).rowcount != 1:
        return False
    for subject, memory in outcome.memories.items():
        write_memory(connection, subject, memory, now)
    for each in outcome.deliveries:
        add_delivery(connection, each, now)
    if outcome.summed_up:
        done = {"state": "summed_up", "ended_at": now}
        connection.execute(update(deliveries).where(deliveries.c.seq.in_(outcome.summed_up)).values(**done))
    for notification in outcome.told:
        _tell(connection, notification, now)
    return True


def write_memory(connection: Connection, subject: str, memory: AlertMemory, now: float) -> None:
    """In place of what was remembered."""
    values = {"memory": memory.model_dump_json(), "firing": len(memory.firing), "updated_at": now}
    found = connection.execute(update(alert_memories).where(alert_memories.c.subject == subject).values(**values))
    if found.rowcount == 0:
        connection.execute(insert(alert_memories).values(subject=subject, **values))


def read_memories(
    connection: Connection, subjects: list[str] | None = None, *, seen: ColumnElement[bool] | None = None
) -> dict[str, AlertMemory]:
    """What is remembered of `subjects`; of all that something fires of (and that may be `seen`), without them."""
    query = select(alert_memories.c.subject, alert_memories.c.memory)
    chosen = alert_memories.c.firing > 0 if subjects is None else alert_memories.c.subject.in_(subjects)
    wanted = chosen if seen is None else chosen & seen
    rows = connection.execute(query.where(wanted).order_by(alert_memories.c.subject))
    return {str(row.subject): AlertMemory.model_validate_json(row.memory) for row in rows}


def forget_old(connection: Connection, now: float) -> None:
    """Drop what is remembered of runs that nothing happened to for a month."""
    old = (alert_memories.c.firing == 0) & (alert_memories.c.updated_at < now - FORGOTTEN_AFTER_SECONDS)
    connection.execute(delete(alert_memories).where(old))


def add_delivery(connection: Connection, new: NewDelivery, now: float) -> str:
    """One message for one channel, to be sent as soon as somebody finds it; its id."""
    told = new.notification
    connection.execute(
        insert(deliveries).values(
            id=new.id,
            channel=new.channel,
            dedup_key=told.dedup_key,
            subject=told.subject,
            notification=told.model_dump_json(),
            state="held" if new.held else "waiting",
            created_at=now,
        )
    )
    return new.id


def give_up_unknown(connection: Connection, channels: list[str], now: float) -> None:
    """Messages for channels that are no longer there have failed."""
    stranded = deliveries.c.state.in_(("waiting", "held")) & deliveries.c.channel.not_in(channels)
    values = {"state": "failed", "ended_at": now, "error": "there is no such channel any more"}
    connection.execute(update(deliveries).where(stranded).values(**values))


def gone_here(owner: str | None) -> bool:
    """Whether `owner` was a process of this machine that lives no more."""
    if owner is None or owner.count(":") < 2 or owner.rsplit(":", 2)[0] != host_name():
        return False
    return not is_alive(owner)


def _tell(connection: Connection, notification: Notification, now: float) -> None:
    """The alert as an event, for whoever follows them."""
    over = notification.action == "resolve"
    level: Level = "info" if over or notification.severity == "info" else "error"
    if notification.severity == "warning" and not over:
        level = "warn"
    append_event(
        connection,
        "alert.resolved.v1" if over else "alert.triggered.v1",
        at=now,
        run_id=notification.subject,
        level=level,
        message=f"{notification.title}. {notification.text}",
        data={"rule": notification.rule, "severity": notification.severity, "alert_id": str(notification.alert_id)},
    )
