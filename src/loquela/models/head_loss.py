"""Output head and cross-entropy in one, chunk by chunk: exact, and the logits never exist whole.

With a vocabulary of 8000 the head is four fifths of a small model's arithmetic, and its logits are the largest
tensor of the step by far. Here a chunk of rows is multiplied, turned into probabilities in place while it lies in
the cache, turned into the gradient in place, and multiplied into both gradients at once; the backward pass has
nothing left to do but to scale. (The order is that of a loss whose gradient is linear in the incoming scalar.)

Shapes: N rows, D width, V vocabulary, R rows of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from loquela.models.kernels import matmul_transposed, onednn_applies, onednn_product

# Logits of one chunk: 16 MiB in float32 stay in the last-level cache of a CPU; a GPU wants longer products.
CHUNK_ELEMENTS_CPU = 4 * 1024 * 1024
CHUNK_ELEMENTS_DEVICE = 32 * 1024 * 1024
MINIMUM_CHUNK_ROWS = 32
# Below this the float32 softmax runs out of digits (its smallest normal number is 1.2e-38).
SMALLEST_PROBABILITY = 1e-30


class _LossContext(Protocol):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor | None) -> None: ...


def chunk_rows(rows: int, vocab_size: int, device_type: str) -> int:
    """How many rows are worked on at once."""
    elements = CHUNK_ELEMENTS_CPU if device_type == "cpu" else CHUNK_ELEMENTS_DEVICE
    return max(1, min(rows, max(MINIMUM_CHUNK_ROWS, elements // vocab_size)))


def chunked_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100, weights: Tensor | None = None
) -> Tensor:
    """Sum over rows of -log softmax(hidden · weightᵀ)[target]; rows whose target is `ignore_index` count nothing.

    With `weights` [N] every row's loss counts so many times.

    hidden [N, D], weight [V, D], int64 targets [N] → scalar in float32 (float64 for float64 inputs). Products run
    in the autocast type when autocast is on, sums in float32. Differentiable once, by hidden and weight.
    """
    if not torch.is_grad_enabled() or not (hidden.requires_grad or weight.requires_grad):
        losses = token_losses(hidden, weight, targets, ignore_index=ignore_index)
        return (losses if weights is None else losses * weights).sum()
    return _differentiable_loss(hidden, weight, targets, ignore_index, weights)


@torch.no_grad()
def token_losses(hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100) -> Tensor:
    """-log p of each target, [N] in float32 (float64 for float64 inputs), 0 where ignored; without gradients."""
    valid, safe_targets = _split_targets(targets, ignore_index)
    product_type = _product_type(hidden)
    hidden, weight = hidden.to(product_type), weight.to(product_type)
    losses = hidden.new_empty(hidden.shape[0], dtype=_sum_type(hidden))
    step = chunk_rows(hidden.shape[0], weight.shape[0], hidden.device.type)
    for start in range(0, hidden.shape[0], step):
        rows = slice(start, start + step)
        logits = matmul_transposed(hidden[rows], weight).to(losses.dtype)
        losses[rows] = _losses_and_probabilities(logits, safe_targets[rows], hidden[rows], weight)
    return losses.masked_fill_(~valid, 0.0)


def _split_targets(targets: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Which rows count [N], and targets [N] that are safe to look up in every row."""
    valid = targets != ignore_index
    return valid, targets.where(valid, 0)


def _product_type(hidden: Tensor) -> torch.dtype:
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _sum_type(hidden: Tensor) -> torch.dtype:
    return torch.float64 if hidden.dtype == torch.float64 else torch.float32


def _losses_and_probabilities(logits: Tensor, targets: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    """Losses [R] of `logits` [R, V] = hidden · weightᵀ, which become their softmax in place.

    On a CPU -log p is read off the softmax, and the few rows whose p is too small for that are computed again; on a
    GPU looking for them would cost a synchronisation, and two passes for the maxima cost next to nothing (the
    largest probability of a row is 1 / Σ exp(logit - top)).
    """
    column = targets[:, None]
    if logits.device.type == "cpu":
        torch.softmax(logits, 1, out=logits)
        probabilities = logits.gather(1, column).squeeze(1)
        losses = -probabilities.log()
        rare = (probabilities < SMALLEST_PROBABILITY).nonzero().squeeze(1)
        if rare.numel():
            again = (hidden[rare] @ weight.t()).to(losses.dtype)
            losses[rare] = F.cross_entropy(again, targets[rare], reduction="none")
        return losses
    top = logits.amax(1)
    picked = logits.gather(1, column).squeeze(1)
    torch.softmax(logits, 1, out=logits)
    return (top - picked) - logits.amax(1).log()


class _Gradients:
    """Accumulates both gradients over chunks; `weight` is transposed [D, V] under oneDNN, where that is faster."""

    def __init__(self, hidden: Tensor, weight: Tensor, wanted: tuple[bool, bool], rows: int) -> None:
        # Probabilities below 6e-8 vanish in float16: its gradient products run in float32.
        self.product_type = torch.float32 if hidden.dtype == torch.float16 else hidden.dtype
        self.matrix = weight.to(self.product_type)
        self.transposed = onednn_applies(rows, hidden, weight)
        self.hidden = torch.empty_like(hidden) if wanted[0] else None
        self.weight: Tensor | None = None
        if wanted[1] and not self.transposed:
            self.weight = torch.zeros_like(weight, dtype=_sum_type(hidden))
        self.wants_weight = wanted[1]

    def add(self, rows: slice[int, int, None], logits_gradient: Tensor, hidden: Tensor) -> None:
        """Take in one chunk: d loss / d logits [R, V] and its hidden states [R, D]."""
        gradient = logits_gradient.to(self.product_type)
        if self.hidden is not None:
            if self.transposed:
                self.hidden[rows] = onednn_product(gradient, self.matrix.t())
            else:
                self.hidden[rows] = gradient @ self.matrix
        if not self.wants_weight:
            return
        if self.transposed:
            part = onednn_product(hidden.t().contiguous(), gradient.t())
            self.weight = part if self.weight is None else self.weight.add_(part)
        elif self.weight is not None and self.weight.dtype == gradient.dtype:
            self.weight.addmm_(gradient.t(), hidden.to(gradient.dtype))
        elif self.weight is not None:
            self.weight += gradient.t() @ hidden.to(gradient.dtype)

    def weight_gradient(self, shape: torch.Size) -> Tensor | None:
        """d loss / d weight [V, D], contiguous, or None when nobody wants it."""
        if self.weight is None or not self.transposed:
            return self.weight
        return self.weight.t().contiguous().view(shape)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _LossContext, hidden: Tensor, weight: Tensor, targets: Tensor, ignore_index: int, weights: Tensor | None
    ) -> Tensor:
        valid, safe_targets = _split_targets(targets, ignore_index)
        # Looking costs a device synchronisation: only a CPU may skip the masking that way.
        masked = hidden.device.type != "cpu" or not bool(valid.all())
        product_type = _product_type(hidden)
        states, matrix = hidden.to(product_type), weight.to(product_type)
        step = chunk_rows(states.shape[0], matrix.shape[0], states.device.type)
        gradients = _Gradients(states, matrix, (ctx.needs_input_grad[0], ctx.needs_input_grad[1]), step)
        losses = states.new_empty(states.shape[0], dtype=_sum_type(states))
        row_numbers = torch.arange(step, device=states.device)
        for start in range(0, states.shape[0], step):
            rows = slice(start, start + step)
            logits = matmul_transposed(states[rows], matrix).to(losses.dtype)
            losses[rows] = _losses_and_probabilities(logits, safe_targets[rows], states[rows], matrix)
            logits[row_numbers[: logits.shape[0]], safe_targets[rows]] -= 1.0
            if masked:
                logits.masked_fill_(~valid[rows, None], 0.0)
            if weights is not None:
                logits.mul_(weights[rows, None])
            gradients.add(rows, logits, states[rows])
            del logits
        weight_gradient = gradients.weight_gradient(weight.shape)
        ctx.save_for_backward(
            None if gradients.hidden is None else gradients.hidden.to(hidden.dtype),
            None if weight_gradient is None else weight_gradient.to(weight.dtype),
        )
        if masked:
            losses.masked_fill_(~valid, 0.0)
        return losses.sum() if weights is None else (losses * weights).sum()

    @staticmethod
    def backward(ctx: _LossContext, scale: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return (
            None if hidden_gradient is None else hidden_gradient * scale.to(hidden_gradient.dtype),
            None if weight_gradient is None else weight_gradient * scale.to(weight_gradient.dtype),
            None,
            None,
            None,
        )


_differentiable_loss: Callable[[Tensor, Tensor, Tensor, int, Tensor | None], Tensor] = _ChunkedCrossEntropy.apply
