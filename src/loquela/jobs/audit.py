"""The audit log: every privileged act in one chain, each in the transaction that did it.

An entry's digest is an HMAC over its canonical JSON and the digest of the entry before it, under a secret of the data
folder: without that secret nobody writes an entry that fits, and none can be changed, removed, put in or moved without
breaking the chain. Numbers have no gaps. Two writers cannot continue the same entry: the second waits for the first.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError
from sqlalchemy import Connection, Row, insert, select, text

from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel
from loquela.jobs.actor import current_actor
from loquela.jobs.audit_anchor import Anchor, AnchorFacts
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.jobs.records import JSON_OBJECT, JsonObject
from loquela.jobs.tables import audit

# Any number will do, as long as every process takes the same.
POSTGRESQL_LOCK = 7_205_120
# What the first entry follows.
BEGINNING = "0" * 64
MOST_TARGET = 200


class AuditEntry(BoundaryModel):
    """One row; `at` in seconds since 1970, UTC. `actor` is a key's id, `user:<login>`, or empty for a stranger."""

    seq: int
    at: float
    actor: str
    address: str
    request_id: str
    action: str
    target: str
    outcome: str
    details: JsonObject = Field(default_factory=dict)
    previous: str
    digest: str

    def expected_digest(self, secret: bytes) -> str:
        """The digest that this entry has if it is as it was written."""
        fields: JsonValue = self.model_dump(mode="json", exclude={"digest"})
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hmac.new(secret, canonical.encode("ascii"), hashlib.sha256).hexdigest()


class AuditLog:
    """Writing entries and reading them."""

    def __init__(self, database: Database, clock: Clock, secret: bytes, anchor: Path) -> None:
        self.database = database
        self.secret = secret
        self.anchor = Anchor(anchor)
        self._clock = clock

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction for an act and its entry; when it is durable, the anchor moves to the newest entry."""
        with self.database.write() as connection:
            yield connection
        try:
            self._move_anchor()
        except LoquelaError:
            # The act is done and written down; an anchor that lags moves with the next entry, and verify shows it.
            return

    def append(
        self,
        connection: Connection,
        action: str,
        target: str,
        *,
        outcome: str = "done",
        details: JsonObject | None = None,
    ) -> None:
        """One entry, last in the caller's transaction, which others wait for from here on."""
        if not self.database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRESQL_LOCK})
        last = newest(connection)
        actor = current_actor()
        entry = AuditEntry(
            seq=last.seq + 1,
            at=self._clock.now(),
            actor=actor.name[:64],
            address=actor.address[:64],
            request_id=actor.request_id[:64],
            action=action,
            target=target[:MOST_TARGET],
            outcome=outcome,
            details=details or {},
            previous=last.digest,
            digest="",
        )
        values = entry.model_dump() | {
            "details": JSON_OBJECT.dump_json(entry.details).decode("utf-8"),
            "digest": entry.expected_digest(self.secret),
        }
        connection.execute(insert(audit).values(**values))
        actor.noted = True

    def note(self, action: str, target: str, *, outcome: str = "done", details: JsonObject | None = None) -> None:
        """One entry in a transaction of its own."""
        with self.writing() as connection:
            self.append(connection, action, target, outcome=outcome, details=details)

    def page(self, *, after: int = 0, limit: int = 100, action: str | None = None) -> list[AuditEntry]:
        """At most `limit` entries behind number `after`, oldest first; of one action where it is named.

        Raises DataError(CORRUPTION) for one that cannot be read.
        """
        query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
        if action is not None:
            query = query.where(audit.c.action == action)
        with self.database.read() as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def _move_anchor(self) -> None:
        """To the newest entry, as long as the entry that it names is still there: a broken end stays visible."""
        with self.anchor.locked():
            held = self.anchor.read()
            with self.database.read() as connection:
                last = newest(connection)
                if held is not None and digest_at(connection, held.seq) != held.digest:
                    return
            if held is None or last.seq > held.seq:
                self.anchor.write(last)


def newest(connection: Connection) -> AnchorFacts:
    """The last entry; number 0 where there is none."""
    row = connection.execute(select(audit.c.seq, audit.c.digest).order_by(audit.c.seq.desc()).limit(1)).one_or_none()
    return AnchorFacts(seq=row.seq, digest=row.digest) if row is not None else AnchorFacts(seq=0, digest=BEGINNING)


def digest_at(connection: Connection, seq: int) -> str | None:
    """The digest of one entry; None where there is none of that number."""
    found: str | None = connection.execute(select(audit.c.digest).where(audit.c.seq == seq)).scalar()
    return BEGINNING if seq == 0 else found


def entry_of(row: Row[tuple[object, ...]]) -> AuditEntry:
    """A row of `audit` as a value; DataError(CORRUPTION) for one that no entry can be."""
    fields: dict[str, object] = dict(row._mapping)
    try:
        fields["details"] = JSON_OBJECT.validate_json(str(fields["details"]))
        return AuditEntry.model_validate(fields)
    except ValidationError as error:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"entry {fields['seq']} of the audit log is not as it was written: it cannot be read",
            "see what else is broken: loquela audit verify",
        ) from error
