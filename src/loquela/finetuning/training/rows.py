"""The rows that are learnt from and those held out, as the examples stage wrote them, counted once.

A token is learnt where it has a weight and something of its own sequence stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.nothing_held_out import why_nothing_held_out
from loquela.artifacts.token_rows import TokenRow, read_token_rows
from loquela.core.errors import DataError, ErrorCode

Places = NDArray[np.int64]


class TuningRows:
    """The rows of one split, with what each has to learn."""

    def __init__(self, rows: Sequence[TokenRow]) -> None:
        self.rows = list(rows)
        masks = [learnt_weights(row) for row in self.rows]
        self._learnt = np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)
        self._weights = np.array([float(mask.sum(dtype=np.float64)) for mask in masks], dtype=np.float64)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def label_tokens(self, places: Places) -> int:
        """Learnt tokens of the rows at `places`, together."""
        return int(self._learnt[places].sum())

    def weight(self, places: Places) -> float:
        """Sum of the weights of their learnt tokens."""
        return float(self._weights[places].sum())

    def at(self, places: Places) -> list[TokenRow]:
        """The rows themselves."""
        return [self.rows[int(place)] for place in places]


def learnt_weights(row: TokenRow) -> NDArray[np.float32]:
    """Weight of every token as a target: 0 for the first of each sequence, which nothing predicts."""
    weights = row.weights.astype(np.float32, copy=True)
    starts = np.cumsum((0, *row.lengths[:-1]))
    weights[starts] = 0.0
    return weights


def open_rows(examples: Path, split: str, *, vocab_size: int, context: int) -> TuningRows:
    """The rows of one split of an examples artifact.

    Raises DataError: INSUFFICIENT_DATA for a split without rows or a row that teaches nothing, CORRUPT_DATA for a
    token that the base has not or a sequence longer than its context.
    """
    rows = TuningRows(list(read_token_rows(examples, split)))
    if rows.count == 0:
        raise _no_rows(examples, split)
    for number, row in enumerate(rows.rows):
        fault = _fault(row, vocab_size, context)
        if fault is None and rows.label_tokens(np.array([number])) == 0:
            raise DataError(
                ErrorCode.INSUFFICIENT_DATA,
                f"row {number} of {split} (example {row.examples[0]}) has no token to learn",
                "look at it: loquela prepare-examples RECIPE; set examples.on_bad_row: drop to leave such rows out",
                details={"split": split, "row": number, "example": row.examples[0]},
            )
        if fault is not None:
            raise DataError(
                ErrorCode.CORRUPT_DATA,
                f"row {number} of {split} (example {row.examples[0]}) {fault}",
                "make the rows anew for this base: loquela prepare-examples RECIPE",
                details={"split": split, "row": number, "example": row.examples[0]},
            )
    return rows


def _no_rows(examples: Path, split: str) -> DataError:
    why, remedy = ("", "give more examples") if split == "train" else why_nothing_held_out(examples, split)
    return DataError(
        ErrorCode.INSUFFICIENT_DATA,
        f"the examples have no rows in the split {split}" + (f": {why}" if why else ""),
        f"{remedy}, then run again",
        details={"split": split},
    )


def _fault(row: TokenRow, vocab_size: int, context: int) -> str | None:
    if len(row.ids) and int(row.ids.max()) >= vocab_size:
        return f"has the token {int(row.ids.max())}, the base has {vocab_size:,}"
    if max(row.lengths) > context:
        return f"has a sequence of {max(row.lengths):,} tokens, the base sees {context:,}"
    return None
