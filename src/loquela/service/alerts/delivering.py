"""Sends what rows ask for: claimed one by one, tried again later, never lost; sent twice only when a process dies while
it sends, and then under the same id and key."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from loquela.channels.contract import not_told
from loquela.channels.opening import open_channel
from loquela.channels.retries import pause_seconds
from loquela.core.errors import LoquelaError
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.tables import deliveries
from loquela.monitoring.alerts.notification import Notification
from loquela.service.alerts.policy import InForce
from loquela.service.alerts.rows import gone_here

# Longer than a channel may take; a process that died is waited for so long.
LEASE_SECONDS = 45.0
TRIES = 12
LOOKED_AT = 100


@dataclass(frozen=True)
class _Claimed:
    seq: int
    attempts: int
    notification: Notification


class Delivering:
    """Sends for the channel of that name, while there is one; several processes may, each message has one of them."""

    def __init__(self, database: Database, clock: Clock, in_force: InForce, channel: str, owner: str) -> None:
        self._database, self._clock = database, clock
        self._in_force, self._channel, self._owner = in_force, channel, owner

    def deliver(self) -> bool:
        """Send the oldest message that may be sent now; whether there was one. Errors as `Database.write`."""
        policy = self._in_force.policy
        settings = next((each for each in policy.channels if each.name == self._channel), None)
        claimed = self._claim() if settings is not None else None
        if settings is None or claimed is None:
            return False
        try:
            # Opened each time, so that a credential that was changed is used at once.
            open_channel(settings, allow_private=policy.allow_private_addresses).send(claimed.notification)
        except LoquelaError as error:
            self._failed(claimed, error)
        except Exception as error:  # a stranger's library: it goes into the row like any other failure
            self._failed(claimed, not_told(self._channel, f"{type(error).__name__} in its library"))
        else:
            self._write(claimed, {"state": "sent", "error": None, "ended_at": self._clock.now()})
        return True

    def _claim(self) -> _Claimed | None:
        now = self._clock.now()
        with self._database.read() as connection:
            candidate = self._candidate(connection, now)
        if candidate is None:
            return None
        with self._database.write() as connection:
            # As it was read, or somebody was faster.
            unclaimed = deliveries.c.attempts == candidate.attempts
            guard = (deliveries.c.seq == candidate.seq) & (deliveries.c.state == "waiting") & unclaimed
            values = {
                "lease_owner": self._owner,
                "lease_until": now + LEASE_SECONDS,
                "attempts": deliveries.c.attempts + 1,
            }
            if connection.execute(update(deliveries).where(guard).values(**values)).rowcount != 1:
                return None
        return _Claimed(candidate.seq, candidate.attempts + 1, candidate.notification)

    def _candidate(self, connection: Connection, now: float) -> _Claimed | None:
        """The oldest message whose time has come, with none of the same alert before it: ends come after beginnings."""
        query = (
            select(deliveries)
            .where((deliveries.c.channel == self._channel) & (deliveries.c.state == "waiting"))
            .order_by(deliveries.c.seq)
            .limit(LOOKED_AT)
        )
        before: set[str] = set()
        for row in connection.execute(query):
            free = row.lease_until is None or not now <= row.lease_until <= now + LEASE_SECONDS
            free = free or gone_here(row.lease_owner)
            if row.dedup_key not in before and row.not_before <= now and free:
                return _Claimed(row.seq, row.attempts, Notification.model_validate_json(row.notification))
            before.add(row.dedup_key)
        return None

    def _failed(self, claimed: _Claimed, error: LoquelaError) -> None:
        pause = pause_seconds(claimed.attempts, error) if claimed.attempts < TRIES else None
        now = self._clock.now()
        if pause is None:
            self._write(claimed, {"state": "failed", "error": error.message, "ended_at": now})
        else:
            self._write(claimed, {"error": error.message, "not_before": now + pause})

    def _write(self, claimed: _Claimed, values: dict[str, object]) -> None:
        """Only as long as the message is still ours: who was too slow has lost it to another."""
        own = (deliveries.c.seq == claimed.seq) & (deliveries.c.lease_owner == self._owner)
        with self._database.write() as connection:
            free: dict[str, object] = {"lease_owner": None, "lease_until": None}
            connection.execute(update(deliveries).where(own).values(**free, **values))
