"""How near two results are, and how near they must be in the number format that made them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from loquela.finetuning.proofs.subject import Subject
from loquela.training.shards import whole

# Formats with 8 or 11 bits of precision round every product; what is 1e-3 apart in fp32 may be this far there.
HALF_PRECISION_DIFFERENCE = 5e-2


def gradients_of(model: nn.Module) -> dict[str, Tensor]:
    """Copies of what `backward` left, by parameter, in float32; one that learns and got none counts as zeros."""
    return {
        name: torch.zeros(parameter.shape, dtype=torch.float32, device=parameter.device)
        if parameter.grad is None
        else whole(parameter.grad).float().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def norm_of(tensors: Mapping[str, Tensor]) -> float:
    """√Σx² over all of them."""
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors.values()))


def relative_difference(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> tuple[float, str]:
    """|left - right| / |left| over all tensors, and the name of the one that is furthest apart."""
    apart = {name: norm_of({name: left[name] - right[name]}) for name in left}
    whole = norm_of(left)
    distance = math.sqrt(sum(value * value for value in apart.values()))
    worst = max(apart, key=lambda name: apart[name], default="")
    if whole == 0:
        return (0.0 if distance == 0 else math.inf), worst
    return distance / whole, worst


def half_precision(subject: Subject) -> bool:
    """Whether any matrix of the model is held or multiplied in bf16 or fp16, or is quantised."""
    kinds = {parameter.dtype for parameter in subject.model.parameters()}
    return subject.precision != "fp32" or not kinds <= {torch.float32, torch.float64}


def allowed(subject: Subject, in_fp32: float) -> float:
    """`in_fp32`, or what rounding alone makes of it in the model's number format."""
    return max(in_fp32, HALF_PRECISION_DIFFERENCE) if half_precision(subject) else in_fp32


def finite(value: float) -> float | str:
    """A number that JSON can hold, or its name."""
    return value if math.isfinite(value) else str(value)
