"""The loss that is trained on, computed once more from all logits and the rows themselves, by its definition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed, without_dropout
from loquela.finetuning.proofs.chosen_rows import learnt, unequal_rows
from loquela.finetuning.proofs.numbers import allowed, finite
from loquela.finetuning.proofs.placed import Placed, placed_sequences
from loquela.finetuning.proofs.subject import Subject

NAME = "loss_as_defined"
ROWS = 4
LIMIT_FP32 = 1e-3


def prove_loss(subject: Subject) -> Proof:
    """Σ weight · -log softmax(logits before the token)[token] / Σ weight, against what a step of training reports.

    Kernels that leave out logits, chunk the head or drop a mask must come to the same number.
    """
    rows = unequal_rows(subject.training_rows, ROWS)
    with borrowed(subject.model), without_dropout(subject.model):
        batch = subject.batch(rows)
        placed = placed_sequences(batch, rows)
        expected = _by_definition(subject.logits(batch), placed) if placed else math.nan
        found = subject.step_gradients([batch])
    apart = abs(found - expected) / max(abs(expected), 1e-12)
    limit = allowed(subject, LIMIT_FP32)
    return Proof(
        name=NAME,
        passed=apart <= limit,
        message=f"training reports a loss of {found:.5g} on {len(rows)} rows, their learnt tokens have {expected:.5g}",
        remedy="set finetune.attention: auto and leave finetune.liger out; report it when it stays",
        code=ErrorCode.BACKWARD_FAILED,
        numbers={
            "loss": finite(found),
            "by_definition": finite(expected),
            "relative_difference": finite(apart),
            "allowed": limit,
            "learnt_tokens": sum(learnt(row) for row in rows),
        },
    )


def _by_definition(logits: Tensor, placed: Sequence[Placed]) -> float:
    total, weight = 0.0, 0.0
    for each in placed:
        weights = _weights(each.sequence)
        targets = torch.from_numpy(each.sequence.ids.astype("int64")).to(logits.device)[1:]
        logs = logits[each.row, each.start : each.end - 1].double().log_softmax(-1)
        losses = -logs.gather(1, targets[:, None]).squeeze(1).cpu()
        total += float((losses * weights).sum())
        weight += float(weights.sum())
    return total / weight if weight else math.nan


def _weights(sequence: TokenRow) -> Tensor:
    """Weights of the tokens that have something before them."""
    return torch.from_numpy(sequence.weights.astype("float64"))[1:]
