"""A step of training moves what shall learn, reaches nothing else, and changes what the model says."""

from __future__ import annotations

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed, trained_copy, without_dropout
from loquela.finetuning.proofs.chosen_rows import unequal_rows
from loquela.finetuning.proofs.numbers import finite
from loquela.finetuning.proofs.subject import Subject
from loquela.training.shards import whole

NAME = "adapter_on"


def prove_adapter_on(subject: Subject) -> Proof:
    """One step with the recipe's optimizer at its peak learning rate on real rows; the adapter is put back after it."""
    batch = subject.batch(unequal_rows(subject.training_rows, subject.settings.batch_size))
    model = subject.model
    with borrowed(model), without_dropout(model):
        before, saved = subject.logits(batch), trained_copy(model)
        optimizer = subject.new_optimizer(subject.settings.learning_rate)
        subject.step_gradients([batch])
        outside = sorted(name for name, each in model.named_parameters() if each.grad is not None and name not in saved)
        silent = [name for name, each in model.named_parameters() if name in saved and _is_output(name) and _zero(each)]
        optimizer.step()
        moved = _moved(model, saved)
        change = float((subject.logits(batch) - before).abs().max())
    numbers: dict[str, JsonValue] = {
        "trained_tensors": len(saved),
        "moved_tensors": len(moved),
        "base_tensors_with_gradient": len(outside),
        "tensors_without_gradient": len(silent),
        "max_logit_change": finite(change),
        "learning_rate": subject.settings.learning_rate,
    }
    fault = _fault(saved, moved, outside, silent, change)
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"a step moves {len(moved)} of {len(saved)} trained tensors and the logits by up to {change:.2g}; "
        "nothing else has a gradient",
        remedy="check finetune.lora.target_modules, learning_rate and method: what the recipe asks for does not learn",
        code=ErrorCode.UPDATE_FAILED,
        numbers=numbers,
    )


def _fault(
    saved: dict[str, Tensor], moved: list[str], outside: list[str], silent: list[str], change: float
) -> str | None:
    if not saved:
        return "no parameter is set to learn"
    if outside:
        return f"{len(outside)} parameters that shall stay have a gradient: {_some(outside)}"
    if not moved:
        return f"a step moves none of the {len(saved)} trained tensors"
    if silent:
        return f"{len(silent)} trained tensors get no gradient: {_some(silent)}"
    if not change > 0:
        return f"a step moves {len(moved)} tensors and no logit changes: the adapter is not part of what is computed"
    return None


def _is_output(name: str) -> bool:
    """In a fresh adapter lora_B is zero, so lora_A rightly has a gradient of zero in the first step."""
    return "lora_B" in name.split(".")


def _zero(parameter: nn.Parameter) -> bool:
    return parameter.grad is None or not bool(whole(parameter.grad).any())


def _moved(model: nn.Module, saved: dict[str, Tensor]) -> list[str]:
    parameters = dict(model.named_parameters())
    return [name for name, before in saved.items() if not torch.equal(whole(parameters[name]), whole(before))]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
