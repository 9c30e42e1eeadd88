"""Sequences that share a row or a batch do not see each other: same logits as alone, and a changed neighbour unfelt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed
from loquela.finetuning.proofs.chosen_rows import sequences_of, shortest_sequences
from loquela.finetuning.proofs.numbers import HALF_PRECISION_DIFFERENCE, finite, half_precision
from loquela.finetuning.proofs.placed import placed_sequences
from loquela.finetuning.proofs.subject import Subject

NAME = "packing_isolation"
TOGETHER = 3


def prove_isolation(subject: Subject) -> Proof:
    """Logits of real sequences together and alone, and together beside a neighbour of other tokens.

    The second comparison has the same shapes on both sides, so no rounding excuses a difference: it must hold the
    recipe's `max_logit_difference` in every number format. The first is given more room in half precision.
    """
    rows = _rows_together(subject.training_rows)
    with borrowed(subject.model):
        together = _logits(subject, rows)
        alone = (
            None if together is None else [_alone(subject, sequence) for row in rows for sequence in sequences_of(row)]
        )
        beside = None if together is None else _logits(subject, _first_changed(rows))
    if together is None or alone is None or beside is None:
        return _proof(False, "the collated batch does not hold the rows' tokens in order", {"rows": len(rows)})
    from_alone = max(_apart(left, right) for left, right in zip(together, alone, strict=True))
    from_other = max((_apart(left, right) for left, right in zip(together[1:], beside[1:], strict=True)), default=0.0)
    limit = subject.settings.proofs.max_logit_difference
    largest = max(float(logits.abs().max()) for logits in alone)
    room = limit if not half_precision(subject) else max(limit, HALF_PRECISION_DIFFERENCE * largest)
    numbers: dict[str, JsonValue] = {
        "sequences": len(together),
        "max_difference_from_alone": finite(from_alone),
        "allowed_from_alone": room,
        "max_difference_beside_other_tokens": finite(from_other),
        "allowed_beside_other_tokens": limit,
    }
    passed = from_alone <= room and from_other <= limit
    says = "do not see each other" if passed else "see each other, or stand at other positions than alone"
    return _proof(
        passed,
        f"{len(together)} sequences in one batch {says}: logits differ by {from_alone:.2g} from those alone, by "
        f"{from_other:.2g} when a neighbour's tokens change ({room:.2g} and {limit:.2g} allowed)",
        numbers,
    )


def _proof(passed: bool, message: str, numbers: dict[str, JsonValue]) -> Proof:
    return Proof(
        name=NAME,
        passed=passed,
        message=message,
        remedy="set examples.pack: false and finetune.padding_free: false, or another finetune.attention",
        code=ErrorCode.VALIDATION_FAILED,
        numbers=numbers,
    )


def _rows_together(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """The shortest packed row, where rows are packed, and the shortest sequences beside it."""
    packed = sorted((row for row in rows if len(row.lengths) > 1), key=lambda row: len(row.ids))
    return packed[:1] + shortest_sequences(rows, TOGETHER)


def _logits(subject: Subject, rows: Sequence[TokenRow]) -> list[Tensor] | None:
    batch = subject.batch(rows)
    placed = placed_sequences(batch, rows)
    if placed is None:
        return None
    logits = subject.logits(batch)
    return [logits[each.row, each.start : each.end].float() for each in placed]


def _alone(subject: Subject, sequence: TokenRow) -> Tensor:
    return subject.logits(subject.batch([sequence]))[0, : len(sequence.ids)].float()


def _first_changed(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """The rows with the tokens of the first sequence turned round, so that only what it says is another."""
    first = rows[0]
    length = first.lengths[0]
    ids = first.ids.copy()
    ids[:length] = np.roll(ids[:length][::-1], 1)
    return [replace(first, ids=ids), *rows[1:]]


def _apart(left: Tensor, right: Tensor) -> float:
    apart = float((left - right).abs().max())
    return apart if math.isfinite(apart) else math.inf
