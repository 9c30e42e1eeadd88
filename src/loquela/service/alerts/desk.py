"""What routes ask about alerts: which fire, what was sent, a message to try the channels with."""

from __future__ import annotations

import uuid

from pydantic import Field
from sqlalchemy import select

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name
from loquela.jobs.audit import AuditLog
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.projects import InProject, seen_by_subject
from loquela.jobs.tables import alert_memories, deliveries
from loquela.monitoring.alerts.notification import Notification, Severity
from loquela.monitoring.alerts.texts import TITLES
from loquela.monitoring.alerts.trial import trial
from loquela.service.alerts.policy import InForce
from loquela.service.alerts.rows import NewDelivery, add_delivery, read_memories


class FiringAlert(BoundaryModel):
    """Something that is wrong now; `told`: somebody was, or would have been, told of it."""

    subject: str = Field(description="a run's id, a job's, or service")
    rule: str
    severity: Severity
    title: str
    since: float | None
    told: bool
    alert_id: uuid.UUID | None


class DeliveryView(BoundaryModel):
    """One message to one channel: waiting, held (quiet hours), summed_up, sent or failed."""

    id: str
    seq: int
    channel: str
    state: str
    attempts: int
    error: str | None
    not_before: float
    created_at: float
    ended_at: float | None
    notification: Notification


class DeliveryPage(BoundaryModel):
    """Some deliveries, newest first; ask again with `before` for older ones."""

    deliveries: list[DeliveryView]
    next_before: int | None


class AlertDesk(InProject):
    """Reads rows, and writes those of a trial."""

    def __init__(self, database: Database, clock: Clock, in_force: InForce, audit: AuditLog) -> None:
        self.in_force = in_force
        self._database, self._clock, self._audit = database, clock, audit

    def firing(self) -> list[FiringAlert]:
        """What is wrong now, by subject."""
        rules = self.in_force.policy.rules
        with self._database.read() as connection:
            memories = read_memories(connection, seen=seen_by_subject(self._project, alert_memories.c.subject))
        return [
            FiringAlert(
                subject=subject,
                rule=name,
                severity=rules.rule(name).severity,
                title=TITLES[name],
                since=rule.since,
                told=rule.told,
                alert_id=rule.alert_id if rule.told else None,
            )
            for subject, memory in memories.items()
            for name, rule in memory.rules.items()
            if rule.firing
        ]

    def page(self, before: int | None, limit: int, subject: str | None = None) -> DeliveryPage:
        """The newest `limit` deliveries, of one subject where it is named."""
        mine = seen_by_subject(self._project, deliveries.c.subject)
        query = select(deliveries).where(mine).order_by(deliveries.c.seq.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(deliveries.c.seq < before)
        if subject is not None:
            query = query.where(deliveries.c.subject == subject)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = [
            DeliveryView(
                id=row.id,
                seq=row.seq,
                channel=row.channel,
                state=row.state,
                attempts=row.attempts,
                error=row.error,
                not_before=row.not_before,
                created_at=row.created_at,
                ended_at=row.ended_at,
                notification=Notification.model_validate_json(row.notification),
            )
            for row in rows[:limit]
        ]
        return DeliveryPage(deliveries=found, next_before=found[-1].seq if len(rows) > limit else None)

    def test(self, channel: str | None) -> list[str]:
        """A message for one channel, or for each; the ids of the deliveries.

        Raises RecipeError(CONFIG_INVALID) where there is no channel (of that name).
        """
        names = [settings.name for settings in self.in_force.policy.channels]
        if channel is not None and channel not in names:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                unknown_name("alert channel", channel, names),
                "name one of the service's alerts_file, or none to try them all",
            )
        if not names:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                "this service has no alert channel",
                "write one into its alerts_file",
            )
        now = self._clock.now()
        chosen = [channel] if channel is not None else names
        with self._audit.writing() as connection:
            made = [add_delivery(connection, NewDelivery(name, trial("service", now)), now) for name in chosen]
            self._audit.append(connection, "alerts.test", ", ".join(chosen))
            return made
