"""Matrix products in float32 on a CPU, by the library that is faster there: PyTorch's own choice, or oneDNN.

PyTorch hands float32 products to MKL, which runs AVX2 code on processors of other makers; oneDNN uses their
AVX-512 units. Both are exact float32 and differ only in the order of summation, so a run keeps one kernel for
its whole life: `use_linear_kernel` sets it for the process, and the plan that chose it is saved with the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

LinearKernel = Literal["torch", "onednn"]

# Below this many rows a product is a few dot products: the call costs more than the kernel saves.
MINIMUM_ROWS = 32
# The rows of a weight gradient are cut into this many images where they divide evenly: measured best of 1, 32, N.
PIXEL_IMAGES = 32

_kernel: LinearKernel = "torch"


class _LinearContext(Protocol):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


def onednn_available() -> bool:
    """Whether this PyTorch carries oneDNN and the dense linear operator that is used here."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def use_linear_kernel(kernel: LinearKernel) -> LinearKernel:
    """Set the kernel of this process; returns the one in use, which is "torch" where oneDNN is missing."""
    global _kernel
    _kernel = kernel if kernel == "torch" or onednn_available() else "torch"
    return _kernel


def linear_kernel() -> LinearKernel:
    """The kernel in use."""
    return _kernel


def onednn_applies(rows: int, *operands: Tensor) -> bool:
    """Whether a product of `rows` rows goes to oneDNN: chosen, float32, on the CPU, big enough, no autocast."""
    return (
        _kernel == "onednn"
        and rows >= MINIMUM_ROWS
        and all(operand.dtype == torch.float32 and operand.device.type == "cpu" for operand in operands)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def onednn_product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """left [R, K] · right [M, K]ᵀ (+ bias [M]) → [R, M]; `right` may be a transposed view."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return product


def matmul_transposed(left: Tensor, right: Tensor) -> Tensor:
    """left [R, K] · right [M, K]ᵀ → [R, M] without gradients, by the kernel in use."""
    if onednn_applies(left.shape[0], left, right):
        return onednn_product(left, right)
    return left @ right.t()


def onednn_weight_gradient(output_gradient: Tensor, inputs: Tensor) -> Tensor:
    """output_gradient [N, M]ᵀ · inputs [N, K] → [M, K].

    The weight gradient of a 1×1 convolution over N pixels is this very product, and oneDNN sums it in parallel
    over pixels: twice MKL's speed where N is long and the matrix small, which is a training step's shape.
    """
    rows, width = inputs.shape
    outputs = output_gradient.shape[1]
    images = math.gcd(rows, PIXEL_IMAGES)
    pixels = inputs.contiguous().view(images, rows // images, 1, width).permute(0, 3, 1, 2)
    gradient = output_gradient.contiguous().view(images, rows // images, 1, outputs).permute(0, 3, 1, 2)
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient,
        pixels,
        inputs.new_empty(outputs, width, 1, 1),
        None,
        [1, 1],
        [0, 0],
        [1, 1],
        False,
        [0, 0],
        1,
        [False, True, False],
    )
    return gradients[1].view(outputs, width)


class _OnednnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _LinearContext, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return onednn_product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: _LinearContext, output_gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        rows = output_gradient.reshape(-1, weight.shape[0])
        input_gradient = weight_gradient = bias_gradient = None
        if ctx.needs_input_grad[0]:
            input_gradient = onednn_product(rows, weight.t()).view(inputs.shape)
        if ctx.needs_input_grad[1]:
            weight_gradient = onednn_weight_gradient(rows, inputs.reshape(-1, weight.shape[1]))
        if ctx.needs_input_grad[2]:
            bias_gradient = rows.sum(0)
        return input_gradient, weight_gradient, bias_gradient


_onednn_linear: Callable[[Tensor, Tensor, Tensor | None], Tensor] = _OnednnLinear.apply


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """inputs [..., K] · weight [M, K]ᵀ + bias [M] → [..., M], differentiable, by the kernel in use."""
    rows = inputs.numel() // max(inputs.shape[-1], 1)
    if onednn_applies(rows, inputs, weight):
        return _onednn_linear(inputs, weight, bias)
    return F.linear(inputs, weight, bias)
