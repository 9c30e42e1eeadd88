"""Counts at every arrow from source to split; they add up or the stage stops.

    read ─ decode ─ cut ─ normalize ─ validate ─ decontaminate ─ deduplicate ─ split

At each arrow: what went in, what came out, and a reason for every byte and item of difference. Items are texts
up to the cut and documents after it; bytes are raw bytes into `decode` and UTF-8 bytes from then on.
"""

from __future__ import annotations

from loquela.artifacts.ledger import Arrow, Change, Ledger

ARROWS = ("read", "decode", "cut", "normalize", "validate", "decontaminate", "deduplicate", "split")


class Tally:
    """Collects the counts while text flows."""

    def __init__(self) -> None:
        # Bytes and items, in and out: lists, because every document counts at every arrow.
        self._totals = {name: [0, 0, 0, 0] for name in ARROWS}
        self._changes: dict[str, dict[str, list[int]]] = {name: {} for name in ARROWS}

    def enter(self, arrow: str, size_bytes: int, items: int = 0) -> None:
        """`size_bytes` and `items` go into `arrow`."""
        totals = self._totals[arrow]
        totals[0] += size_bytes
        totals[2] += items

    def leave(self, arrow: str, size_bytes: int, items: int = 0) -> None:
        """`size_bytes` and `items` come out of `arrow`."""
        totals = self._totals[arrow]
        totals[1] += size_bytes
        totals[3] += items

    def change(self, arrow: str, reason: str, size_bytes: int, items: int = 0) -> None:
        """`reason` added or removed that much inside `arrow`."""
        if size_bytes or items:
            change = self._changes[arrow].setdefault(reason, [0, 0])
            change[0] += size_bytes
            change[1] += items

    def arrows(self) -> list[Arrow]:
        """The counts so far, unchecked."""
        return [
            Arrow(
                arrow=name,
                bytes_in=bytes_in,
                bytes_out=bytes_out,
                items_in=items_in,
                items_out=items_out,
                changes=[
                    Change(reason=reason, bytes=size_bytes, items=items)
                    for reason, (size_bytes, items) in self._changes[name].items()
                ],
            )
            for name, (bytes_in, bytes_out, items_in, items_out) in self._totals.items()
        ]

    def add(self, arrows: list[Arrow]) -> None:
        """Count what another tally counted."""
        for arrow in arrows:
            self.enter(arrow.arrow, arrow.bytes_in, arrow.items_in)
            self.leave(arrow.arrow, arrow.bytes_out, arrow.items_out)
            for change in arrow.changes:
                self.change(arrow.arrow, change.reason, change.bytes, change.items)

    def ledger(self) -> Ledger:
        """The counts so far, checked; InternalError(INTERNAL) when they do not add up."""
        ledger = Ledger(arrows=self.arrows())
        ledger.check()
        return ledger


def utf8_size(text: str) -> int:
    """UTF-8 bytes of `text`, without encoding what is plain ASCII."""
    return len(text) if text.isascii() else len(text.encode("utf-8"))
