"""The parts that transformer blocks are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loquela.models.config import TransformerConfig
from loquela.models.kernels import linear


class Linear(nn.Module):
    """y = x · weightᵀ + bias by the kernel in use; weights are left unset for `initialize`."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] → [..., outputs]."""
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.Module):
    """Mean and variance normalisation over the last axis, with an optional bias."""

    def __init__(self, width: int, epsilon: float, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] → [..., width]."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019), computed in float32."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] → [..., width]."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


def make_norm(config: TransformerConfig) -> LayerNorm | RMSNorm:
    """The norm over the model's width that the configuration names."""
    if config.norm == "layernorm":
        return LayerNorm(config.d_model, config.norm_epsilon, config.bias)
    return RMSNorm(config.d_model, config.norm_epsilon)


def rotary_table(positions: Tensor, config: TransformerConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, head_dim] of the rotary positions (Su et al. 2021), in the half-split layout of Llama."""
    pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=positions.device)
    turns = config.rotary_base ** (-pairs / config.head_dim)
    if config.rotary_divisors is not None:
        turns = turns / torch.tensor(config.rotary_divisors, dtype=torch.float32, device=positions.device)
    angles = torch.outer(positions.float(), turns)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair (i, i + head_dim/2) of `heads` [B, H, T, head_dim] by its position's angle."""
    first, second = heads.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return heads * cosines.to(heads.dtype) + turned * sines.to(heads.dtype)


class FeedForward(nn.Module):
    """The position-wise part of a block: GELU (tanh form, as GPT-2), squared ReLU, or SwiGLU with one fused matrix."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.activation = config.activation
        inner = config.dim_feedforward
        self.up = Linear(config.d_model, 2 * inner if self.activation == "swiglu" else inner, config.bias)
        self.down = Linear(inner, config.d_model, config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        inner: Tensor = self.up(x)
        if self.activation == "gelu":
            inner = F.gelu(inner, approximate="tanh")
        elif self.activation == "relu2":
            inner = F.relu(inner).square()
        else:
            gate, value = inner.chunk(2, dim=-1)
            inner = F.silu(gate) * value
        result: Tensor = self.down(inner)
        return result
