"""Loss of the trained tokens of every row, each row alone, whatever was packed together in training.

Shapes: B rows, T tokens of the longest, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from loquela.core.errors import ErrorCode, ProofError
from loquela.evaluation.tuned.contracts import RowLoss, Side
from loquela.evaluation.tuned.held_out import HeldOutRow

Logits = Callable[[Tensor, Tensor], Tensor]
"""int64 ids [B, T] and mask [B, T] → logits [B, T, V]."""


@torch.no_grad()
def row_losses(
    logits: Logits, rows: Sequence[HeldOutRow], side: Side, *, batch_size: int, device: torch.device, pad_id: int
) -> Iterator[list[RowLoss]]:
    """One list per batch: Σ weight · nats over the tokens that each row teaches, predicted from those before them.

    Rows are padded on the right, where a causal model does not look. Raises ProofError(METRIC_COMPUTATION_ERROR) for
    a loss that is not finite.
    """
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        longest = max(len(row.ids) for row in batch)
        ids = torch.full((len(batch), longest), pad_id, dtype=torch.int64)
        weights = torch.zeros(len(batch), longest)
        mask = torch.zeros(len(batch), longest, dtype=torch.int64)
        for place, row in enumerate(batch):
            ids[place, : len(row.ids)] = torch.from_numpy(row.ids)
            weights[place, : len(row.ids)] = torch.from_numpy(row.weights.copy())
            mask[place, : len(row.ids)] = 1
        nats = _weighted_nats(logits(ids.to(device), mask.to(device)), ids, weights)
        yield [
            _row_loss(side, row, total, row_weights[1:])
            for row, total, row_weights in zip(batch, nats, weights, strict=True)
        ]


def _weighted_nats(logits: Tensor, ids: Tensor, weights: Tensor) -> list[float]:
    """Σ weight · −log p of each row; only positions that teach get a softmax."""
    found = []
    for scores, targets, weight in zip(logits, ids, weights, strict=True):
        places = torch.nonzero(weight[1:]).flatten()
        chosen = scores[places.to(scores.device)].float()
        losses = functional.cross_entropy(chosen, targets[1:][places].to(chosen.device), reduction="none")
        found.append(float((losses.cpu().double() * weight[1:][places].double()).sum()))
    return found


def _row_loss(side: Side, row: HeldOutRow, nats: float, weights: Tensor) -> RowLoss:
    if nats != nats or nats in (float("inf"), float("-inf")):
        raise ProofError(
            ErrorCode.METRIC_COMPUTATION_ERROR,
            f"the loss of the {side} on row {row.example.id} is {nats}: the model gives values that are not finite",
            "its weights are damaged or training diverged: evaluate an earlier checkpoint, or train again",
            details={"side": side, "example": row.example.id},
        )
    return RowLoss(
        side=side,
        example=row.example.id,
        nats=nats,
        weight=float(weights.double().sum()),
        tokens=int(torch.count_nonzero(weights)),
    )
