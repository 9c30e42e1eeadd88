"""Batches of answers that are compared: the sequences of all rows one after another, each by itself.

Under kto also `desirable` [rows], and the same rows with an answer of another row under keys that begin with `other_`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from loquela.artifacts.token_rows import TokenRow
from loquela.finetuning.training.collate import Collator

OTHER = "other_"
DESIRABLE = "desirable"


@dataclass(frozen=True)
class PairCollator(Collator):
    """Pairs: sequences 2i and 2i + 1 are the chosen and the rejected answer of row i."""

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        """The batch of `rows`; DataError(CORRUPT_BATCH) when its labels are not those of the rows."""
        return self.in_sequence(rows)

    def weight_of(self, batch: Mapping[str, Tensor]) -> float:
        """How many pairs it has."""
        return len(batch["lengths"]) / 2


@dataclass(frozen=True)
class JudgedCollator(Collator):
    """Judged answers; `others` holds each row with an answer of another one, where the loss asks for them."""

    good: Mapping[str, bool] = field(default_factory=dict)
    others: Mapping[str, TokenRow] = field(default_factory=dict)

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        """The batch of `rows`; DataError(CORRUPT_BATCH) when its labels are not those of the rows."""
        batch = self.in_sequence(rows)
        judged = [self.good[row.examples[0]] for row in rows]
        batch[DESIRABLE] = torch.tensor(judged, dtype=torch.bool)
        if self.others:
            other = self.in_sequence([self.others[row.examples[0]] for row in rows])
            batch.update({OTHER + name: tensor for name, tensor in other.items()})
        return batch

    def weight_of(self, batch: Mapping[str, Tensor]) -> float:
        """How many answers it has."""
        return float(len(batch["lengths"]))


def others_of(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mismatched half of a batch, as a batch; empty where there is none."""
    return {name.removeprefix(OTHER): tensor for name, tensor in batch.items() if name.startswith(OTHER)}
