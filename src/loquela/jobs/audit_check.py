"""Is the audit log whole? From its first entry to its last, and to where it ended when the anchor was written."""

from __future__ import annotations

import hmac

from loquela.core.errors import DataError
from loquela.core.model import BoundaryModel
from loquela.jobs.audit import BEGINNING, AuditEntry, AuditLog

PAGE = 1000


class AuditReport(BoundaryModel):
    """What checking found. `broken_at` is the number of the first entry that is not as it should be."""

    whole: bool
    entries: int
    last_digest: str
    anchored: int
    broken_at: int | None = None
    problem: str = ""


def verify_audit(log: AuditLog) -> AuditReport:
    """Check every digest, every link, every number, and the anchor; nothing is changed."""
    seq, digest = 0, BEGINNING
    at_anchor: str | None = BEGINNING
    anchored = 0
    try:
        held = log.anchor.read()
    except DataError as error:
        return AuditReport(whole=False, entries=0, last_digest=digest, anchored=0, problem=error.message)
    if held is not None:
        anchored = held.seq
        at_anchor = BEGINNING if held.seq == 0 else None
    while page := log.page(after=seq, limit=PAGE):
        for entry in page:
            broken = _broken(log.secret, entry, seq, digest)
            if broken:
                first = seq + 1
                return AuditReport(
                    whole=False, entries=seq, last_digest=digest, anchored=anchored, broken_at=first, problem=broken
                )
            seq, digest = entry.seq, entry.digest
            if seq == anchored:
                at_anchor = digest
    problem, first_lost = "", None
    if held is None and seq > 0:
        problem = "the anchor beside the database is gone: whether the end is whole cannot be told"
    elif held is not None and seq < held.seq:
        problem, first_lost = f"entries {seq + 1} to {held.seq} were removed from the end", seq + 1
    elif held is not None and not hmac.compare_digest(at_anchor or "", held.digest):
        problem, first_lost = f"entry {held.seq} is another than the anchor beside the database names", held.seq
    return AuditReport(
        whole=not problem,
        entries=seq,
        last_digest=digest,
        anchored=anchored,
        broken_at=first_lost,
        problem=problem,
    )


def _broken(secret: bytes, entry: AuditEntry, last_seq: int, last_digest: str) -> str:
    """What is wrong with an entry that stands behind the one called `last_seq`; empty when nothing is."""
    if entry.seq != last_seq + 1:
        return f"entry {last_seq + 1} is missing"
    if not hmac.compare_digest(entry.expected_digest(secret), entry.digest):
        return f"entry {entry.seq} is not as it was written: changed, put in or moved"
    if not hmac.compare_digest(entry.previous, last_digest):
        return f"entry {entry.seq} does not follow entry {last_seq}"
    return ""
