"""Muon: momentum whose matrix is made orthogonal before it is applied.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon/, the quintic coefficients included. torch.optim.Muon (torch >= 2.9)
is the same algorithm but always multiplies in bfloat16, which on a CPU without bf16 instructions is hundreds
of times slower than float32, and takes matrices one by one; the tests hold ours against it.

For a matrix [rows, cols] of gradient g:

    buffer <- momentum * buffer + (1 - momentum) * g            u = (1 - momentum) * g + momentum * buffer
    weight <- weight * (1 - lr * decay) - lr * sqrt(max(1, rows / cols)) * orthogonal(u)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import overload

import torch
from torch import Tensor, nn

from loquela.core.errors import ErrorCode, RecipeError

ITERATIONS = 5
# p(x) = a x + b x^3 + c x^5: the steepest slope at 0 that still keeps singular values within about [0.7, 1.2].
COEFFICIENT_A, COEFFICIENT_B, COEFFICIENT_C = 3.4445, -4.7750, 2.0315
EPSILON = 1e-7


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Newton-Schulz: [K, rows, cols] → the same singular vectors with singular values near 1, in `dtype`."""
    x = matrices.to(dtype)
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.transpose(1, 2)
    # The Frobenius norm bounds the spectral norm, and the iteration converges from singular values in [0, 1].
    x = x / x.flatten(1).norm(dim=1).clamp(min=EPSILON)[:, None, None]
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(1, 2)
        polynomial = torch.baddbmm(gram, gram, gram, beta=COEFFICIENT_B, alpha=COEFFICIENT_C)
        x = torch.baddbmm(x, polynomial, x, beta=COEFFICIENT_A)
    return x if wide else x.transpose(1, 2)


class Muon(torch.optim.Optimizer):
    """Muon over 2-D parameters; matrices of one shape are orthogonalised together.

    Products run in float32 on CPU and in bfloat16 on CUDA. State: `momentum_buffer`, one per matrix.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], learning_rate: float, *, momentum: float, weight_decay: float
    ) -> None:
        if not parameters or any(parameter.dim() != 2 for parameter in parameters):
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                "muon needs matrices: the model has none besides embeddings and head, or a parameter is not 2-D",
                "set train.optimizer.name: adamw",
            )
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every matrix that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[tuple[torch.Size, torch.device], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault((parameter.shape, parameter.device), []).append(parameter)
            for matrices in by_shape.values():
                self._update(matrices, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def _update(self, matrices: list[Tensor], learning_rate: float, momentum: float, decay: float) -> None:
        """One update of matrices that share a shape and a device."""
        gradients = [parameter.grad for parameter in matrices if parameter.grad is not None]
        buffers = []
        for parameter, gradient in zip(matrices, gradients, strict=True):
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            buffers.append(state["momentum_buffer"])
        torch._foreach_lerp_(buffers, gradients, 1.0 - momentum)
        ahead = torch.stack([g.lerp(b, momentum) for g, b in zip(gradients, buffers, strict=True)])
        dtype = torch.bfloat16 if ahead.device.type == "cuda" else torch.float32
        updates = orthogonalize(ahead, dtype).to(ahead.dtype)
        rows, cols = matrices[0].shape
        scale = learning_rate * math.sqrt(max(1.0, rows / cols))
        torch._foreach_mul_(matrices, 1.0 - learning_rate * decay)
        torch._foreach_add_(matrices, list(updates.unbind()), alpha=-scale)


def predicted_overhead(shapes: Sequence[tuple[int, int]], other_matrix_elements: int, batch_tokens: int) -> float:
    """Newton-Schulz FLOPs of one optimizer step over the forward and backward FLOPs of its tokens.

    With m the smaller and M the larger side, one iteration costs 2 m^2 M (gram) + 2 m^3 (gram squared) +
    2 m^2 M (product with x) = 4 m^2 M + 2 m^3, and there are ITERATIONS of them; forward and backward cost
    6 m M per token (J. Kaplan et al. 2020). For one square matrix this is ITERATIONS * m / batch_tokens.
    `other_matrix_elements` are those of matrices that tokens pass but Muon does not train: the output head.
    Attention scores are left out, so the prediction errs on the high side.
    """
    newton_schulz = sum(ITERATIONS * (4 * min(shape) ** 2 * max(shape) + 2 * min(shape) ** 3) for shape in shapes)
    elements = sum(rows * cols for rows, cols in shapes) + other_matrix_elements
    return newton_schulz / (6.0 * elements * batch_tokens)


def check_overhead(
    shapes: Sequence[tuple[int, int]], *, other_matrix_elements: int, batch_tokens: int, limit: float
) -> None:
    """RecipeError(CONFIG_INVALID) with the numbers and the remedy when Muon would cost more than `limit`."""
    if not shapes:
        return
    overhead = predicted_overhead(shapes, other_matrix_elements, batch_tokens)
    if overhead <= limit:
        return
    enough = math.ceil(overhead * batch_tokens / limit)
    raise RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"muon would add {overhead:.0%} to every step of {batch_tokens} tokens; "
        f"train.optimizer.muon_max_overhead allows {limit:.0%}",
        f"raise train.gradient_accumulation_steps {math.ceil(enough / batch_tokens)}-fold (a process then sees at "
        f"least {enough} tokens a step), or set train.optimizer.name: adamw",
        details={"overhead": overhead, "limit": limit, "batch_tokens": batch_tokens, "batch_tokens_needed": enough},
    )
