"""A frozen matrix with a low-rank update beside it, on a CPU in float32: one operation instead of ten.

    y = x · Wᵀ + b + s · (d(x) · Aᵀ) · Bᵀ          d: dropout of the update's input

x [..., K], W [M, K], A [R, K], B [M, R]. The large products go to the kernel that the process uses (oneDNN where it is
faster), nothing but x, the small d(x)·Aᵀ and one byte for each dropped number is kept for the backward pass, and the
update is added in place. Dropped places are drawn 16 bits each from a generator that one draw of torch's own seeds,
four times faster than torch draws them; their share is `dropout` to within 1/131072, and what is left is scaled by
exactly the share that stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from loquela.models.kernels import matmul_transposed

LEVELS = 65536


class _LoraContext(Protocol):
    saved_tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]
    needs_input_grad: tuple[bool, ...]
    scale: float

    def save_for_backward(self, *tensors: Tensor | None) -> None: ...


def dropout_levels(dropout: float) -> int:
    """How many of the LEVELS values of a draw mean that a number is dropped."""
    return min(LEVELS - 1, round(dropout * LEVELS))


def kept_places(shape: torch.Size, dropout: float) -> Tensor | None:
    """A bool tensor, False where a number is dropped; None where none is. Draws once from torch's generator."""
    levels = dropout_levels(dropout)
    if levels == 0:
        return None
    seed = int(torch.randint(2**63 - 1, (), dtype=torch.int64))
    drawn = np.random.Generator(np.random.SFC64(seed)).integers(0, LEVELS, shape.numel(), dtype=np.uint16)
    return torch.from_numpy(drawn >= levels).view(shape)


def applies(inputs: Tensor, weight: Tensor) -> bool:
    """Whether this operation takes the place of the library's: float32 on a CPU, no autocast."""
    return (
        inputs.dtype == torch.float32
        and weight.dtype == torch.float32
        and inputs.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


def lora_linear(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float, dropout: float
) -> Tensor:
    """y as above with A = `down`, B = `up`; `weight` and `bias` are not trained. Differentiable by x, A and B."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    kept = kept_places(rows.shape, dropout)
    share = 1.0 if kept is None else 1.0 - dropout_levels(dropout) / LEVELS
    product = _lora_linear(rows, weight, bias, down, up, kept, scale / share)
    return product.view(*inputs.shape[:-1], weight.shape[0])


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _LoraContext,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        kept: Tensor | None,
        scale: float,
    ) -> Tensor:
        output = matmul_transposed(inputs, weight)
        if bias is not None:
            output += bias
        inner = matmul_transposed(_left(inputs, kept), down)
        output.addmm_(inner, up.t(), alpha=scale)
        ctx.save_for_backward(inputs, weight, down, up, kept, inner)
        ctx.scale = scale
        return output

    @staticmethod
    def backward(
        ctx: _LoraContext, gradient: Tensor
    ) -> tuple[Tensor | None, None, None, Tensor | None, Tensor | None, None, None]:
        inputs, weight, down, up, kept, inner = ctx.saved_tensors
        gradient = gradient.contiguous()
        inner_gradient = torch.mm(gradient, up).mul_(ctx.scale)
        up_gradient = torch.mm(gradient.t(), inner).mul_(ctx.scale) if ctx.needs_input_grad[4] else None
        down_gradient = torch.mm(inner_gradient.t(), _left(inputs, kept)) if ctx.needs_input_grad[3] else None
        input_gradient = None
        if ctx.needs_input_grad[0]:
            input_gradient = matmul_transposed(gradient, weight.t())
            if kept is None:
                input_gradient.addmm_(inner_gradient, down)
            else:
                input_gradient += _left(torch.mm(inner_gradient, down), kept)
        return input_gradient, None, None, down_gradient, up_gradient, None, None


def _left(values: Tensor, kept: Tensor | None) -> Tensor:
    return values if kept is None else torch.where(kept, values, 0.0)


_lora_linear: Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor, Tensor | None, float], Tensor] = (
    _LoraLinear.apply
)
