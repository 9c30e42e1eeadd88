"""A short training that must learn a few rows by heart, give their answers back, and stop after each.

It trains the real adapter with the real rows, loss and optimizer, and puts everything back bit for bit. One minute
finds a wrong mask, a wrong template, a learning rate that does nothing, an adapter that is not on, a stop token that is
not learnt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import JsonValue
from torch.optim import Optimizer

from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.proofs.answers import Asked, asked_of, is_json, without_stop
from loquela.finetuning.proofs.borrowed import borrowed
from loquela.finetuning.proofs.chosen_rows import shortest_sequences
from loquela.finetuning.proofs.numbers import finite
from loquela.finetuning.proofs.subject import Subject

NAME = "canary"
WARMUP_STEPS = 3
# Mean loss at which every answer is as good as certain: more steps would only take time.
KNOWN_BY_HEART = 0.005
SLOW = ("sgd", "adafactor")
FULL_SHARE = 0.1
# Generation may go on a little longer than the answer, so that a model that does not stop is seen not to.
MORE_TOKENS = 8
SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class _Given:
    asked: Asked
    expected: str
    given: str
    stopped: bool

    @property
    def reproduced(self) -> bool:
        return self.given.strip() == self.expected.strip()


def prove_canary(subject: Subject) -> Proof:
    """Overfit `canary_rows` of the shortest sequences for `canary_steps` steps, then ask for their answers greedily.

    A share of at least `canary_min_reproduced` must come back word for word, as many must end in a stop token, and
    every answer that is JSON must be JSON again.
    """
    proofs = subject.settings.proofs
    rows = [row for row in shortest_sequences(subject.training_rows, 4 * proofs.canary_rows) if asked_of(row)]
    rows = _different_prompts(rows)[: proofs.canary_rows]
    if not rows:
        return _proof("no training row has a prompt and an answer after it", {"rows": 0})
    with borrowed(subject.model):
        losses = _overfit(subject, rows)
        given = _ask(subject, rows)
    reproduced = sum(each.reproduced for each in given) / len(given)
    stopped = sum(each.stopped for each in given) / len(given)
    as_json = [each for each in given if is_json(each.expected)]
    parsed = sum(is_json(each.given) for each in as_json) / len(as_json) if as_json else None
    numbers: dict[str, JsonValue] = {
        "rows": len(given),
        "steps": len(losses),
        "loss_before": finite(losses[0]),
        "loss_after": finite(losses[-1]),
        "reproduced": reproduced,
        "stopped": stopped,
        "json_parsed": parsed,
        "json_answers": len(as_json),
        "needed": proofs.canary_min_reproduced,
        "answers": [_shown(each) for each in given],
    }
    return _proof(_fault(losses, reproduced, stopped, parsed, proofs.canary_min_reproduced), numbers)


def _proof(fault: str | None, numbers: dict[str, JsonValue]) -> Proof:
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"{numbers['rows']} rows learnt by heart in {numbers['steps']} steps (loss {numbers['loss_before']:.3g} to "
        f"{numbers['loss_after']:.3g}): {numbers['reproduced']:.0%} of the answers come back word for word, "
        f"{numbers['stopped']:.0%} stop",
        remedy="read the answers in preflight.json; give the canary more room (finetune.proofs.canary_steps, "
        "canary_learning_rate, finetune.lora.rank) when the loss was still falling",
        code=ErrorCode.MODEL_TRAIN_FAILED,
        numbers=numbers,
    )


def _fault(losses: list[float], reproduced: float, stopped: float, parsed: float | None, needed: float) -> str | None:
    fell = f"(loss {losses[0]:.3g} to {losses[-1]:.3g})"
    if not all(math.isfinite(loss) for loss in losses):
        return f"the canary's loss is not a number after {len(losses)} steps {fell}"
    if losses[-1] >= max(losses[0], KNOWN_BY_HEART):
        return f"the canary learns nothing {fell}"
    if stopped < needed:
        return f"only {stopped:.0%} of the canary's answers end in a stop token, {needed:.0%} needed {fell}"
    if reproduced < needed:
        return f"only {reproduced:.0%} of the canary's answers come back word for word, {needed:.0%} needed {fell}"
    if parsed is not None and parsed < needed:
        return f"only {parsed:.0%} of the canary's JSON answers are JSON again, {needed:.0%} needed {fell}"
    return None


def _different_prompts(rows: list[TokenRow]) -> list[TokenRow]:
    """One row a prompt: two answers to one question cannot both be given back."""
    first: dict[tuple[int, ...], TokenRow] = {}
    for row in rows:
        asked = asked_of(row)
        if asked is not None:
            first.setdefault(tuple(asked.prompt), row)
    return list(first.values())


def _overfit(subject: Subject, rows: list[TokenRow]) -> list[float]:
    """Losses of every step: all rows a step, in micro-batches of the recipe's size, clipped as the recipe says."""
    settings = subject.settings
    optimizer = _optimizer(subject)
    batches = [subject.batch(rows[at : at + settings.batch_size]) for at in range(0, len(rows), settings.batch_size)]
    peaks = [group["lr"] for group in optimizer.param_groups]
    losses: list[float] = []
    for step in range(settings.proofs.canary_steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * _factor(step, settings.proofs.canary_steps)
        subject.check_stop()
        losses.append(subject.step_gradients(batches))
        if losses[-1] < KNOWN_BY_HEART:
            break
        if settings.gradient_clip_norm is not None:
            learning = [parameter for parameter in subject.model.parameters() if parameter.grad is not None]
            torch.nn.utils.clip_grad_norm_(learning, settings.gradient_clip_norm)
        optimizer.step()
    return losses


def _optimizer(subject: Subject) -> Optimizer:
    """The recipe's, or AdamW for those whose steps are too small to learn anything by heart in so few of them.

    All of a model moves further at the same rate than an adapter does: a tenth of it is enough there.
    """
    settings = subject.settings
    rate = settings.proofs.canary_learning_rate * (FULL_SHARE if settings.method == "full" else 1.0)
    if settings.optimizer not in SLOW:
        return subject.new_optimizer(rate)
    learning = [parameter for parameter in subject.model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(learning, lr=rate, weight_decay=0.0)


def _factor(step: int, steps: int) -> float:
    """Up within a few steps, then a straight line down to a tenth: only a calm end gives answers word for word."""
    return min((step + 1) / WARMUP_STEPS, 1.0) * (1 - 0.9 * step / steps)


def _ask(subject: Subject, rows: list[TokenRow]) -> list[_Given]:
    asked = [each for row in rows if (each := asked_of(row)) is not None]
    longest = max(len(each.answer) for each in asked)
    answers = subject.generate([each.prompt for each in asked], longest + MORE_TOKENS)
    stop = subject.stop_ids
    return [
        _Given(
            asked=each,
            expected=_text(subject, without_stop(each.answer, stop)),
            given=_text(subject, without_stop(answer, stop)),
            stopped=not stop.isdisjoint(answer),
        )
        for each, answer in zip(asked, answers, strict=True)
    ]


def _text(subject: Subject, ids: list[int]) -> str:
    """Text of an answer; a model may also say tokens that its tokenizer has no text for, which is no answer."""
    try:
        return subject.decode(ids)
    except DataError as error:
        return f"({error.message})"


def _shown(given: _Given) -> JsonValue:
    return {
        "example": given.asked.example,
        "expected": given.expected[:SHOWN_CHARACTERS],
        "given": given.given[:SHOWN_CHARACTERS],
        "reproduced": given.reproduced,
        "stopped": given.stopped,
    }
