"""A few examples of what each rule drops: those with the smallest digests, so that the choice is always the same."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable

from loquela.artifacts.attributes import Dropped
from loquela.data.corpus.drafts import Draft

EXAMPLES_PER_REASON = 20
SHOWN_CHARACTERS = 2000


class DroppedExamples:
    """Collects at most `EXAMPLES_PER_REASON` documents for every reason, whatever the order they come in."""

    def __init__(self) -> None:
        self._heaps: dict[tuple[str, str], list[tuple[int, int, Dropped]]] = {}

    def drop(
        self, draft: Draft, arrow: str, reason: str, value: float | None = None, threshold: float | None = None
    ) -> None:
        """`draft` was dropped at `arrow` for `reason`."""
        if self._wanted(self._rank(arrow, reason, draft.id), (arrow, reason)):
            self.add(
                Dropped(
                    id=draft.id,
                    arrow=arrow,
                    reason=reason,
                    source=draft.source,
                    value=value,
                    threshold=threshold,
                    characters=len(draft.text),
                    text=draft.text[:SHOWN_CHARACTERS],
                    lineage=draft.lineage,
                )
            )

    def add(self, dropped: Dropped) -> None:
        """Keep `dropped` if it is among the first of its reason."""
        key = (dropped.arrow, dropped.reason)
        rank = self._rank(*key, dropped.id)
        if not self._wanted(rank, key):
            return
        heap = self._heaps.setdefault(key, [])
        if any(rank == -other for other, _, _ in heap):
            return
        # A heap gives its smallest; with the sign turned that is the example to give up.
        heapq.heappush(heap, (-rank, len(heap), dropped))
        if len(heap) > EXAMPLES_PER_REASON:
            heapq.heappop(heap)

    def add_all(self, examples: Iterable[Dropped]) -> None:
        """Keep those of `examples` that are among the first of their reasons."""
        for dropped in examples:
            self.add(dropped)

    def chosen(self) -> list[Dropped]:
        """The examples, by arrow and reason, in the order of their digests."""
        return [
            dropped
            for key in sorted(self._heaps)
            for _, _, dropped in sorted(self._heaps[key], key=lambda entry: -entry[0])
        ]

    def _wanted(self, rank: int, key: tuple[str, str]) -> bool:
        heap = self._heaps.get(key, [])
        return len(heap) < EXAMPLES_PER_REASON or rank < -heap[0][0]

    @staticmethod
    def _rank(arrow: str, reason: str, document_id: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{arrow}\0{reason}\0{document_id}".encode()).digest()[:8], "big")
