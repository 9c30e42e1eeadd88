"""Chunks → asked → answered → parsed → kept: counts at every arrow with a reason for every loss; they add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loquela.artifacts.ledger import Arrow, Change, Ledger


class QaTally:
    """Collects the arrows in order; what comes out of one goes into the next."""

    def __init__(self, chunks: int) -> None:
        self._arrows: list[Arrow] = []
        self._now = chunks

    def arrow(self, name: str, lost: Mapping[str, int], *, gained: Mapping[str, int] | None = None, out: int) -> None:
        """One step: what was lost and gained by reason, and how many came out, counted for themselves."""
        changes = Counter({reason: -count for reason, count in lost.items()})
        changes.update(gained or {})
        self._arrows.append(
            Arrow(
                arrow=name,
                items_in=self._now,
                items_out=out,
                changes=[Change(reason=reason, items=items) for reason, items in changes.items() if items],
            )
        )
        self._now = out

    def ledger(self) -> Ledger:
        """The arrows, checked; InternalError(INTERNAL) when they do not add up."""
        ledger = Ledger(arrows=self._arrows)
        ledger.check()
        return ledger
