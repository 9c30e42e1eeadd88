"""The cap on what a run may cost: the worst case of a call is set aside before the call is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Budget:
    """US dollars. `spent` is what answers cost, `in_doubt` what calls without an answer may have cost.

    The sum of both and of what is set aside never goes beyond `limit`, so neither does the bill. Used from one thread.
    """

    limit: float
    spent: float = 0.0
    in_doubt: float = 0.0
    reserved: float = 0.0

    def reserve(self, worst: float) -> bool:
        """Set `worst` aside for a call; False when that could go beyond the limit."""
        # A billionth of a dollar of slack: sums of floats must not refuse what fits exactly.
        if self.spent + self.in_doubt + self.reserved + worst > self.limit + 1e-9:
            return False
        self.reserved += worst
        return True

    def settle(self, worst: float, cost: float) -> None:
        """The call is answered and cost `cost`."""
        self.reserved -= worst
        self.spent += cost

    def release(self, worst: float, *, maybe_billed: bool) -> None:
        """The call failed; where it may have been charged for all the same, its worst case stays counted."""
        self.reserved -= worst
        if maybe_billed:
            self.in_doubt += worst
