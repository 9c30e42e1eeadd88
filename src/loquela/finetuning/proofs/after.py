"""After the training: the base is as it was, the adapter is not, and its folder gives the same model again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed, trained_parameters
from loquela.finetuning.proofs.chosen_rows import shortest_sequences
from loquela.finetuning.proofs.numbers import finite, norm_of
from loquela.finetuning.proofs.subject import Subject
from loquela.finetuning.verification import verify_base_weights_unchanged
from loquela.training.shards import whole

SHOWN = 3
ROWS = 4


def prove_base_unchanged(subject: Subject) -> Proof:
    """Every tensor of the base against `baseline_checksums.json` of before the training; differences by name."""
    difference = verify_base_weights_unchanged(subject.model, subject.directory)
    wrong = [*difference.changed, *difference.missing, *difference.added]
    shown = ", ".join(wrong[:SHOWN]) + (", …" if len(wrong) > SHOWN else "")
    return Proof(
        name="base_unchanged",
        passed=difference.none,
        message="every tensor of the base has the SHA-256 that it had before the training"
        if difference.none
        else f"{len(wrong)} tensors of the base are not what they were before the training: {shown}",
        remedy="throw this adapter away and train again: it was learnt on a base that nobody else has",
        code=ErrorCode.CORRUPTION,
        numbers={
            "changed": list(difference.changed[:100]),
            "missing": list(difference.missing[:100]),
            "added": list(difference.added[:100]),
        },
    )


def prove_adapter_moved(before: Mapping[str, Tensor]) -> Callable[[Subject], Proof]:
    """A proof that the training moved what it should, against copies of `before` it; and that all of it is finite."""

    def prove(subject: Subject) -> Proof:
        now = trained_parameters(subject.model)
        still, broken, changes = [], [], []
        for name, parameter in now.items():
            value, old = whole(parameter), whole(before[name])
            if torch.equal(value, old):
                still.append(name)
            if not bool(torch.isfinite(value).all()):
                broken.append(name)
            changes.append(norm_of({name: value.float() - old.float()}))
        change = math.hypot(*changes)
        passed = bool(now) and len(still) < len(now) and not broken
        numbers: dict[str, JsonValue] = {
            "trained_tensors": len(now),
            "unmoved": list(still[:100]),
            "not_finite": list(broken[:100]),
            "change_norm": finite(change),
        }
        message = f"{len(now) - len(still)} of {len(now)} trained tensors moved, by {change:.3g} in all"
        if broken:
            message = f"{len(broken)} trained tensors hold values that are no numbers: {', '.join(broken[:SHOWN])}"
        return Proof(
            name="adapter_moved",
            passed=passed,
            message=message,
            remedy="check finetune.learning_rate and the losses in metrics.jsonl; this adapter holds nothing learnt",
            code=ErrorCode.NAN_DETECTED if broken else ErrorCode.UPDATE_FAILED,
            numbers=numbers,
        )

    return prove


def prove_reload(load: Callable[[Path], None], folder: Path) -> Callable[[Subject], Proof]:
    """A proof that `load(folder)`, after what was trained is wiped, gives the very same logits again."""

    def prove(subject: Subject) -> Proof:
        rows = shortest_sequences([*subject.evaluation_rows, *subject.training_rows], ROWS)
        batch = subject.batch(rows)
        with borrowed(subject.model):
            before = subject.logits(batch)
            with torch.no_grad():
                for parameter in trained_parameters(subject.model).values():
                    parameter.zero_()
            load(folder)
            apart = float((subject.logits(batch) - before).abs().max())
        passed = apart == 0.0
        return Proof(
            name="adapter_reloads",
            passed=passed,
            message=f"{folder.name}/ read back: the logits of {len(rows)} rows are "
            + ("the same" if passed else f"{apart:.2g} apart"),
            remedy="report it with this file: the saved adapter is not the one that was trained",
            code=ErrorCode.CHECKPOINT_FAILED,
            numbers={"max_logit_difference": finite(apart), "rows": len(rows)},
        )

    return prove
