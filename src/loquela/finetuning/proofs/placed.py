"""Where the collator put each sequence of the rows that it was given, found by the tokens themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.token_rows import TokenRow
from loquela.finetuning.proofs.chosen_rows import sequences_of
from loquela.finetuning.proofs.subject import Batch


@dataclass(frozen=True)
class Placed:
    """A sequence, the batch row that holds it, and its first token there."""

    sequence: TokenRow
    row: int
    start: int

    @property
    def end(self) -> int:
        """The place after its last token."""
        return self.start + len(self.sequence.ids)


def placed_sequences(batch: Batch, rows: Sequence[TokenRow]) -> list[Placed] | None:
    """Every sequence of `rows` in the order they were given; None when one's tokens are not in the batch in order."""
    ids = batch["input_ids"].detach().cpu().numpy()
    found: list[Placed] = []
    row, after = 0, 0
    for given in rows:
        first = True
        for sequence in sequences_of(given):
            # A row of the batch begins with every row given, unless the batch is one row for all of them.
            if first and found and len(ids) > 1:
                row, after = row + 1, 0
            first = False
            place = _find(ids[row], sequence, after) if row < len(ids) else None
            if place is None:
                return None
            found.append(Placed(sequence, row, place))
            after = place + len(sequence.ids)
    return found


def _find(tokens: NDArray[np.int64], sequence: TokenRow, after: int) -> int | None:
    """The first place from `after` on where the sequence's tokens stand."""
    wanted = sequence.ids.astype(np.int64)
    for start in range(after, len(tokens) - len(wanted) + 1):
        if tokens[start] == wanted[0] and np.array_equal(tokens[start : start + len(wanted)], wanted):
            return start
    return None
