"""Answers that are compared: the loss is the one of its definition, the reference is the base, better answers gain.

Everything here is computed anew from the artifact's own records and from logits: which answer was chosen, what its
log-probability is, what the base thinks of it. A pair that was turned round on its way into a batch, a sign, or a
reference that is not the base shows in the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import JsonValue

from loquela.artifacts.examples import read_examples
from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow, read_sequences, read_token_rows
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed, trained_parameters, without_dropout
from loquela.finetuning.proofs.chosen_rows import sequences_of
from loquela.finetuning.proofs.numbers import allowed, finite
from loquela.finetuning.proofs.subject import Subject
from loquela.training.shards import put, whole

REFERENCE_NAME = "preference_loss"
CANARY_NAME = "preference_canary"
ROWS = 3
LIMIT_FP32 = 1e-3
# How far the adapter is moved, at random, to see that the reference does not move with it.
NUDGE = 0.02


@dataclass(frozen=True)
class Judged:
    """A sequence of the artifact, and whether its answer is the better one."""

    sequence: TokenRow
    better: bool


def prove_preference_loss(subject: Subject) -> Proof:
    """The loss of a step against its definition on logits, with the adapter moved; the base's answers before and after.

    The reference must not move with the adapter, and must be the base itself.
    """
    settings = subject.settings
    rows = list(subject.training_rows)[:ROWS]
    judged = [found for row in rows for found in _judged(subject, row)]
    with borrowed(subject.model), without_dropout(subject.model):
        before = [_log_prob(subject, each.sequence, base=True) for each in judged]
        _nudge(subject)
        after = [_log_prob(subject, each.sequence, base=True) for each in judged]
        ratios = [_log_prob(subject, each.sequence) - base for each, base in zip(judged, after, strict=True)]
        found = subject.step_gradients([subject.batch(rows)])
    drift = max(abs(one - other) for one, other in zip(before, after, strict=True))
    expected = _by_definition(subject, judged, ratios) if settings.preference_loss != "kto" else math.nan
    apart = 0.0 if math.isnan(expected) else abs(found - expected) / max(abs(expected), 1e-12)
    limit = allowed(subject, LIMIT_FP32)
    moved = max(abs(ratio) for ratio in ratios) > 0
    by_definition = "not compared, its term of mismatched answers is the batch's own"
    says = by_definition if math.isnan(expected) else f"{expected:.5g} by its definition"
    return Proof(
        name=REFERENCE_NAME,
        passed=apart <= limit and drift <= limit and moved and math.isfinite(found),
        message=f"training reports a loss of {found:.5g} ({says}); with the adapter moved the reference's answers "
        f"changed by {drift:.2g}, the model's by {max(abs(ratio) for ratio in ratios):.2g}",
        remedy="report it with this file: the reference must be the base, and the loss the one that the recipe names",
        code=ErrorCode.BACKWARD_FAILED,
        numbers={
            "kind": settings.preference_loss,
            "loss": finite(found),
            "by_definition": finite(expected),
            "relative_difference": finite(apart),
            "reference_drift": finite(drift),
            "allowed": limit,
        },
    )


def prove_preference_canary(subject: Subject) -> Proof:
    """Learn a few rows for `canary_steps` steps: the answers that the artifact calls better must gain on the others."""
    proofs = subject.settings.proofs
    rows = _both_kinds(subject, proofs.canary_rows)
    judged = [found for row in rows for found in _judged(subject, row)]
    with borrowed(subject.model):
        before = [_log_prob(subject, each.sequence) for each in judged]
        losses = _learn(subject, rows)
        after = [_log_prob(subject, each.sequence) for each in judged]
    gains = [later - earlier for earlier, later in zip(before, after, strict=True)]
    margins = _margins(subject, judged, gains)
    right = sum(margin > 0 for margin in margins) / len(margins)
    mean = sum(margins) / len(margins)
    fault = _fault(losses, mean, right, proofs.canary_min_reproduced)
    numbers: dict[str, JsonValue] = {
        "rows": len(rows),
        "steps": proofs.canary_steps,
        "loss_before": finite(losses[0]),
        "loss_after": finite(losses[-1]),
        "mean_margin": finite(mean),
        "right_way": right,
        "needed": proofs.canary_min_reproduced,
        "margins": [finite(round(margin, 4)) for margin in margins],
    }
    return Proof(
        name=CANARY_NAME,
        passed=fault is None,
        message=fault
        or f"after {proofs.canary_steps} steps on {len(rows)} rows (loss {losses[0]:.3g} to {losses[-1]:.3g}) the "
        f"better answers gained {mean:.3g} nats on the others, {right:.0%} of them the right way",
        remedy="look at the rows: loquela prepare-examples RECIPE; are chosen and rejected (or the labels) the right "
        "way round? Give the canary more room (finetune.proofs.canary_steps) when the loss was still falling",
        code=ErrorCode.MODEL_TRAIN_FAILED,
        numbers=numbers,
    )


def _fault(losses: list[float], mean: float, right: float, needed: float) -> str | None:
    fell = f"(loss {losses[0]:.3g} to {losses[-1]:.3g})"
    if not all(math.isfinite(loss) for loss in losses):
        return f"the canary's loss is not a number {fell}"
    if mean <= 0 or right < needed:
        return (
            f"the answers that the examples call better lose {-mean:.3g} nats on the others; {right:.0%} go the right "
            f"way, {needed:.0%} needed {fell}"
            if mean <= 0
            else f"only {right:.0%} of the better answers gain on the others, {needed:.0%} needed {fell}"
        )
    if not losses[-1] < losses[0]:
        return f"the canary learns nothing {fell}"
    return None


def _judged(subject: Subject, row: TokenRow) -> list[Judged]:
    """The sequences of a row as the artifact's own records judge them, the better one first."""
    found = []
    for sequence in sequences_of(row):
        better = _better(subject, sequence)
        found.append(Judged(sequence, better))
    return sorted(found, key=lambda each: not each.better)


def _better(subject: Subject, sequence: TokenRow) -> bool:
    """What the artifact says of exactly these tokens of this example."""
    name = sequence.examples[0]
    if subject.settings.task == "kto":
        return next(bool(example.label) for example in read_examples(subject.examples) if example.id == name)
    for split in ("train", "validation"):
        kept = (part for row in read_token_rows(subject.examples, split) for part in sequences_of(row))
        for record, part in zip(read_sequences(subject.examples, split), kept, strict=True):
            if record.example == name and np.array_equal(part.ids, sequence.ids):
                return record.part == "chosen"
    raise DataError(
        ErrorCode.CORRUPT_DATA,
        f"a row of example {name} is trained on that is not in {subject.examples}",
        "make the rows anew: loquela prepare-examples RECIPE",
        details={"example": name},
    )


def _both_kinds(subject: Subject, count: int) -> list[TokenRow]:
    """The shortest rows; of judged answers as many good as bad ones, where there are."""
    rows = sorted(subject.training_rows, key=lambda row: len(row.ids))
    if subject.settings.task == "dpo":
        return rows[:count]
    good = {example.id: bool(example.label) for example in read_examples(subject.examples)}
    kinds = [[row for row in rows if good[row.examples[0]] is kind] for kind in (True, False)]
    half = max(1, count // 2)
    return [*kinds[0][:half], *kinds[1][:half]]


@torch.no_grad()
def _log_prob(subject: Subject, sequence: TokenRow, *, base: bool = False) -> float:
    """Σ log p of the learnt tokens of a sequence alone, from its logits; `base`: with the adapter off."""
    off: AbstractContextManager[None] = nullcontext()
    if base:
        off = getattr(subject.model, "disable_adapter")()  # noqa: B009 (PEFT's; no type of torch has it)
    with off:
        logits = subject.logits(subject.batch([sequence]))[0]
    targets = torch.from_numpy(sequence.ids.astype("int64")).to(logits.device)[1:]
    logs = logits[: len(targets)].double().log_softmax(-1).gather(1, targets[:, None]).squeeze(1).cpu()
    learnt = torch.from_numpy((sequence.weights[1:] != 0).astype("float64"))
    return float((logs * learnt).sum())


def _by_definition(subject: Subject, judged: Sequence[Judged], ratios: Sequence[float]) -> float:
    """Mean loss of the rows by the formulas of the papers, in double precision."""
    options, kind = subject.settings.preference, subject.settings.preference_loss
    if subject.settings.task == "kto":
        losses = [
            (options.desirable_weight if each.better else options.undesirable_weight)
            * (1 - _sigmoid(options.beta * (ratio if each.better else -ratio)))
            for each, ratio in zip(judged, ratios, strict=True)
        ]
        return sum(losses) / len(losses)
    losses = []
    for place in range(0, len(judged), 2):
        margin = ratios[place] - ratios[place + 1]
        if kind == "ipo":
            means = [ratios[place + i] / _learnt(judged[place + i].sequence) for i in (0, 1)]
            losses.append((means[0] - means[1] - 1 / (2 * options.beta)) ** 2)
        elif kind == "hinge":
            losses.append(max(0.0, 1 - options.beta * margin))
        else:
            right, wrong = _sigmoid(options.beta * margin), _sigmoid(-options.beta * margin)
            smoothing = options.label_smoothing
            losses.append(-(1 - smoothing) * math.log(right) - smoothing * math.log(wrong))
    return sum(losses) / len(losses)


def _margins(subject: Subject, judged: Sequence[Judged], gains: Sequence[float]) -> list[float]:
    if subject.settings.task == "dpo":
        return [gains[place] - gains[place + 1] for place in range(0, len(gains), 2)]
    better = [gain for each, gain in zip(judged, gains, strict=True) if each.better]
    worse = [gain for each, gain in zip(judged, gains, strict=True) if not each.better]
    if not better or not worse:
        return [*better, *(-gain for gain in worse)]
    middle = (sum(better) / len(better) + sum(worse) / len(worse)) / 2
    return [gain - middle for gain in better] + [middle - gain for gain in worse]


def _learn(subject: Subject, rows: Sequence[TokenRow]) -> list[float]:
    size, proofs = subject.settings.batch_size, subject.settings.proofs
    batches = [subject.batch(rows[at : at + size]) for at in range(0, len(rows), size)]
    learning = list(trained_parameters(subject.model).values())
    optimizer = torch.optim.AdamW(learning, lr=proofs.canary_learning_rate, weight_decay=0.0)
    losses = []
    for _ in range(proofs.canary_steps):
        subject.check_stop()
        losses.append(subject.step_gradients(batches))
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
    return losses


@torch.no_grad()
def _nudge(subject: Subject) -> None:
    generator = torch.Generator().manual_seed(0)
    for parameter in trained_parameters(subject.model).values():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
        value = whole(parameter)
        put(parameter, value + NUDGE * noise.to(value))


def _learnt(sequence: TokenRow) -> int:
    return max(1, int(np.count_nonzero(sequence.weights[1:])))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
