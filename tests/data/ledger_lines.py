"""What a tally has counted at one arrow, whether or not the rest of the flow ran."""

from __future__ import annotations

from loquela.artifacts.ledger import Arrow
from loquela.data.tally import Tally


def arrow(tally: Tally, name: str = "read") -> Arrow:
    return next(found for found in tally.arrows() if found.arrow == name)


def changes(tally: Tally, name: str = "read") -> dict[str, tuple[int, int]]:
    """Reason → bytes and items."""
    return {change.reason: (change.bytes, change.items) for change in arrow(tally, name).changes}
