"""Rows → the tensors of one micro-batch, and the proof on them that exactly the learnt tokens are labels.

padded       [B, T]   every row alone, filled up on its right; a causal network sees nothing of what is behind it
in_sequence  [1, ΣT]  all sequences of all rows one after another; positions begin anew with each, `lengths` are theirs

`labels` are the tokens themselves, -100 where nothing is learnt; `weights` are 0 there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.training.rows import learnt_weights

IGNORED = -100
Layout = Literal["padded", "in_sequence"]
TuningInputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Collator:
    """Makes batches of one layout; packed rows are always laid out in sequence."""

    pad_id: int
    layout: Layout

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        """The batch of `rows`; DataError(CORRUPT_BATCH) when its labels are not those of the rows."""
        in_sequence = self.layout == "in_sequence" or any(len(row.lengths) > 1 for row in rows)
        if in_sequence:
            return self.in_sequence(rows)
        batch = self._padded(rows)
        check_labels(batch, rows)
        return batch

    def weight_of(self, batch: Mapping[str, Tensor]) -> float:
        """What the loss of a batch is a mean over: the weights of its learnt tokens."""
        return float(batch["weights"].sum(dtype=torch.float64))

    def in_sequence(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        """The batch of `rows` in the layout in_sequence; the same error."""
        ids = np.concatenate([row.ids for row in rows]).astype(np.int64)
        weights = np.concatenate([learnt_weights(row) for row in rows])
        lengths = [length for row in rows for length in row.lengths]
        batch = {
            "input_ids": torch.from_numpy(ids)[None],
            "position_ids": torch.from_numpy(np.concatenate([row.positions for row in rows]))[None],
            "labels": torch.from_numpy(np.where(weights != 0, ids, IGNORED))[None],
            "weights": torch.from_numpy(weights)[None],
            "lengths": torch.tensor(lengths, dtype=torch.int64),
        }
        check_labels(batch, rows)
        return batch

    def _padded(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        longest = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), longest), self.pad_id, dtype=np.int64)
        weights = np.zeros((len(rows), longest), dtype=np.float32)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = row.ids
            weights[number, : len(row.ids)] = learnt_weights(row)
            mask[number, : len(row.ids)] = 1
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.from_numpy(np.where(weights != 0, ids, IGNORED)),
            "weights": torch.from_numpy(weights),
        }


def check_labels(batch: Mapping[str, Tensor], rows: Sequence[TokenRow]) -> None:
    """Count the batch's labels against the rows again; DataError(CORRUPT_BATCH) when one is lost or made up."""
    labels, weights, ids = batch["labels"], batch["weights"], batch["input_ids"]
    learnt = labels != IGNORED
    masks = [learnt_weights(row) for row in rows]
    expected = sum(int(np.count_nonzero(mask)) for mask in masks)
    found = int(learnt.sum())
    if found != expected or not torch.equal(learnt, weights != 0) or not torch.equal(labels[learnt], ids[learnt]):
        raise _wrong(rows, f"{found} tokens are labels and {expected} should be")
    total, wanted = float(weights.sum(dtype=torch.float64)), _sum(masks)
    if abs(total - wanted) > 1e-6 * max(1.0, wanted):
        raise _wrong(rows, f"its labels weigh {total:g} and should weigh {wanted:g}")


def _sum(masks: Sequence[NDArray[np.float32]]) -> float:
    return float(sum(float(mask.sum(dtype=np.float64)) for mask in masks))


def _wrong(rows: Sequence[TokenRow], what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_BATCH,
        f"the batch of example {rows[0].examples[0]} is not what its rows say: {what}",
        "make the rows anew: loquela prepare-examples RECIPE; report this if it comes again",
        details={"example": rows[0].examples[0]},
    )
