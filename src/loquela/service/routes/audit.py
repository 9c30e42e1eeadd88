"""Who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from loquela.core.model import BoundaryModel
from loquela.jobs.audit import AuditEntry
from loquela.service.authentication import Administrator
from loquela.service.parts import parts_of

router = APIRouter(tags=["audit"])


class AuditPage(BoundaryModel):
    """Some entries, oldest first; ask again with `after` for later ones."""

    entries: list[AuditEntry]
    last_seq: int


@router.get("/audit")
def audit(
    request: Request,
    key: Administrator,
    after: Annotated[int, Query(ge=0, le=2**62, description="entries behind this number")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    action: Annotated[str | None, Query(max_length=64)] = None,
) -> AuditPage:
    """Every privileged act and every refusal, oldest first; `loquela audit verify` proves that none is missing."""
    found = parts_of(request).audit.page(after=after, limit=limit, action=action)
    return AuditPage(entries=found, last_seq=found[-1].seq if found else after)
