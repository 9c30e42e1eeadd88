"""The ledger of an artifact: at every arrow what went in, what came out, and a reason for every difference."""

from __future__ import annotations

from pydantic import Field

from loquela.core.errors import ErrorCode, InternalError
from loquela.core.model import BoundaryModel


class Change(BoundaryModel):
    """What one reason added (positive) or took away (negative)."""

    reason: str
    bytes: int = 0
    items: int = 0


class Arrow(BoundaryModel):
    """Totals before and after one step, and the changes that explain the difference."""

    arrow: str
    bytes_in: int = 0
    bytes_out: int = 0
    items_in: int = 0
    items_out: int = 0
    changes: list[Change] = Field(default_factory=list)


class Ledger(BoundaryModel):
    """All arrows of a stage, in order."""

    format_version: int = 1
    arrows: list[Arrow]

    def check(self) -> None:
        """InternalError(INTERNAL) naming the first arrow that does not add up."""
        for arrow in self.arrows:
            _check_sum(arrow.arrow, "bytes", arrow.bytes_in, sum(c.bytes for c in arrow.changes), arrow.bytes_out)
            _check_sum(arrow.arrow, "items", arrow.items_in, sum(c.items for c in arrow.changes), arrow.items_out)
        for before, after in zip(self.arrows, self.arrows[1:], strict=False):
            name = f"{before.arrow} → {after.arrow}"
            _check_sum(name, "bytes", before.bytes_out, 0, after.bytes_in)
            _check_sum(name, "items", before.items_out, 0, after.items_in)


def _check_sum(where: str, unit: str, before: int, change: int, after: int) -> None:
    if before + change != after:
        raise InternalError(
            ErrorCode.INTERNAL,
            f"the ledger does not add up at {where}: {before} {unit} and {change:+d} make {before + change}, "
            f"but {after} came out",
            "report this as a bug, with the source that led to it; nothing was kept",
            details={"arrow": where, "unit": unit, "before": before, "change": change, "after": after},
        )
