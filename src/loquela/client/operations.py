"""What the service answers about its own work: alerts, deliveries, the audit log. Times are seconds since 1970, UTC."""

from __future__ import annotations

from pydantic import Field, JsonValue

from loquela.client.answers import Answer


class FiringAlert(Answer):
    """Something that is wrong now; `subject` is a run's id, a job's, or service."""

    subject: str
    rule: str
    severity: str
    title: str
    since: float | None = None
    told: bool = False


class RefusedFile(Answer):
    """Why a file of rules and channels was not taken."""

    message: str
    remedy: str = ""
    at: float


class Alerts(Answer):
    """Everything that is wrong now, and the channels that are told; `refused`: older rules and channels hold."""

    alerts: list[FiringAlert]
    channels: list[str]
    refused: RefusedFile | None = None


class Message(Answer):
    """What a channel was told."""

    action: str
    rule: str
    severity: str
    subject: str
    title: str
    text: str
    at: float


class Delivery(Answer):
    """One message to one channel: waiting, held (quiet hours), summed_up, sent or failed."""

    id: str
    channel: str
    state: str
    attempts: int = 0
    error: str | None = None
    created_at: float
    ended_at: float | None = None
    notification: Message


class DeliveryPage(Answer):
    """Some deliveries, newest first; ask again with `before=next_before` for older ones."""

    deliveries: list[Delivery]
    next_before: int | None = None


class AlertsTried(Answer):
    """The ids of the deliveries that a trial has queued."""

    deliveries: list[str]


class AuditEntry(Answer):
    """One act: who, from where, what on what, and whether it was done or denied."""

    seq: int
    at: float
    actor: str
    address: str
    request_id: str = ""
    action: str
    target: str
    outcome: str
    details: dict[str, JsonValue] = Field(default_factory=dict)
    previous: str = ""
    digest: str = ""


class AuditPage(Answer):
    """Some entries, oldest first; ask again with `after=last_seq` for later ones."""

    entries: list[AuditEntry]
    last_seq: int
