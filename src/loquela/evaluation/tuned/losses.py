"""Loss of the trained tokens of every row, each row alone, whatever was packed together in training.

Shapes: B rows, T tokens of the longest, K positions that lead to a taught token, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from loquela.core.errors import ErrorCode, ProofError
from loquela.evaluation.tuned.contracts import RowLoss, Side
from loquela.evaluation.tuned.held_out import HeldOutRow
from loquela.models.pretrained.causal import CausalModel

# Logits of a batch, of all its positions: at most this many numbers, 512 MiB in fp32.
LOGITS_AT_ONCE = 1 << 27


def row_losses(
    model: CausalModel, rows: Sequence[HeldOutRow], side: Side, *, batch_size: int, pad_id: int
) -> Iterator[list[RowLoss]]:
    """One list per batch: Σ weight · nats over the tokens that each row teaches, predicted from those before them.

    Rows are padded on the right, where a causal model does not look. Raises ProofError(METRIC_COMPUTATION_ERROR) for
    a loss that is not finite.
    """
    for batch in loss_batches(rows, batch_size, model.facts.vocab_size):
        longest = max(len(row.ids) for row in batch)
        ids = torch.full((len(batch), longest), pad_id, dtype=torch.int64)
        weights = torch.zeros(len(batch), longest)
        mask = torch.zeros(len(batch), longest, dtype=torch.int64)
        for place, row in enumerate(batch):
            ids[place, : len(row.ids)] = torch.from_numpy(row.ids)
            weights[place, : len(row.ids)] = torch.from_numpy(row.weights.copy())
            mask[place, : len(row.ids)] = 1
        nats = _weighted_nats(model, ids, mask, weights)
        yield [
            _row_loss(side, row, total, row_weights[1:])
            for row, total, row_weights in zip(batch, nats, weights, strict=True)
        ]


def loss_batches(rows: Sequence[HeldOutRow], batch_size: int, vocab_size: int) -> Iterator[list[HeldOutRow]]:
    """Rows in their order, at most `batch_size` at once, and fewer where their logits would be too many."""
    batch: list[HeldOutRow] = []
    for row in rows:
        longest = max(len(other.ids) for other in (*batch, row))
        if batch and (len(batch) == batch_size or (len(batch) + 1) * longest * vocab_size > LOGITS_AT_ONCE):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.no_grad()
def _weighted_nats(model: CausalModel, ids: Tensor, mask: Tensor, weights: Tensor) -> list[float]:
    """Σ weight · −log p of each row; the head only sees positions that lead to a token that some row teaches."""
    keep = torch.nonzero(weights[:, 1:].any(dim=0)).flatten()
    device = model.device
    logits = model.logits(ids.to(device), attention_mask=mask.to(device), keep=keep.to(device))
    found = []
    for scores, targets, weight in zip(logits, ids[:, 1:][:, keep], weights[:, 1:][:, keep], strict=True):
        taught = torch.nonzero(weight).flatten()
        chosen = scores[taught.to(device)].float()
        losses = functional.cross_entropy(chosen, targets[taught].to(device), reduction="none")
        found.append(float((losses.cpu().double() * weight[taught].double()).sum()))
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
