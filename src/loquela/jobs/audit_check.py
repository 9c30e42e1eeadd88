"""Is the audit log whole? From its first entry to its last, and to where it ended when the anchor was written."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from sqlalchemy import Row, select

from loquela.core.errors import DataError
from loquela.core.model import BoundaryModel
from loquela.jobs.audit import BEGINNING, AuditLog, entry_of
from loquela.jobs.audit_anchor import AnchorFacts
from loquela.jobs.tables import audit

PAGE = 1000


class AuditReport(BoundaryModel):
    """What checking found: `entries` are whole, `broken_at` is the number of the first that is not."""

    whole: bool
    entries: int
    last_digest: str
    anchored: int
    broken_at: int | None = None
    problem: str = ""


def verify_audit(log: AuditLog) -> AuditReport:
    """Check every digest, every link, every number, and the anchor; nothing is changed."""
    try:
        held = log.anchor.read()
    except DataError as error:
        return AuditReport(whole=False, entries=0, last_digest=BEGINNING, anchored=0, problem=error.message)
    anchored = held.seq if held is not None else 0
    last, at_anchor, broken = AnchorFacts(seq=0, digest=BEGINNING), BEGINNING, ""
    for row in _rows(log):
        broken, digest = _checked(log.secret, row, last)
        if broken:
            break
        last = AnchorFacts(seq=last.seq + 1, digest=digest)
        at_anchor = digest if last.seq == anchored else at_anchor
    if broken:
        problem, place = broken, last.seq + 1
    elif held is None and last.seq > 0:
        problem, place = "the anchor beside the database is gone: nothing shows whether the end is whole", None
    elif last.seq < anchored:
        problem, place = f"entries {last.seq + 1} to {anchored} were removed from the end", last.seq + 1
    elif held is not None and not hmac.compare_digest(at_anchor, held.digest):
        problem, place = f"entry {anchored} is another than the one that the anchor beside the database names", anchored
    else:
        problem, place = "", None
    return AuditReport(
        whole=not problem,
        entries=last.seq,
        last_digest=last.digest,
        anchored=anchored,
        broken_at=place,
        problem=problem,
    )


def _rows(log: AuditLog) -> Iterator[Row[tuple[object, ...]]]:
    """All rows in order of their numbers, some at a time."""
    after: int | None = None
    while True:
        query = select(audit).order_by(audit.c.seq).limit(PAGE)
        with log.database.read() as connection:
            page = connection.execute(query if after is None else query.where(audit.c.seq > after)).all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].seq


def _checked(secret: bytes, row: Row[tuple[object, ...]], last: AnchorFacts) -> tuple[str, str]:
    """What is wrong with the row behind `last` (empty: nothing), and its digest."""
    number = row._mapping["seq"]
    if number != last.seq + 1:
        return f"entry {last.seq + 1} is missing: {number} stands in its place", ""
    try:
        entry = entry_of(row)
    except DataError as error:
        return error.message, ""
    if not hmac.compare_digest(entry.expected_digest(secret).encode(), entry.digest.encode()):
        return f"entry {entry.seq} is not as it was written: changed, put in or moved", ""
    if entry.previous != last.digest:
        return f"entry {entry.seq} does not follow entry {last.seq}", ""
    return "", entry.digest
