"""What a network is, as data: every shape that decides its weights and its arithmetic. Loads no tensor library."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.recipe.schema import ModelSection


class RotaryScaling(BoundaryModel):
    """Llama 3's way to a longer context: slow rotations are slowed by `factor`, quick ones left, those between mixed.

    `original_context` tokens were seen before; a rotation is slow that turns less than `low_frequency_factor` times
    over them, quick that turns more than `high_frequency_factor` times (Dubey et al. 2024, "The Llama 3 herd").
    """

    factor: float = Field(ge=1)
    low_frequency_factor: float = Field(gt=0)
    high_frequency_factor: float = Field(gt=0)
    original_context: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low_frequency_factor >= self.high_frequency_factor:
            raise ValueError("low_freq_factor must be below high_freq_factor")
        return self

    def divisors(self, head_dim: int, base: float) -> list[float]:
        """What each of the head_dim / 2 rotations is slowed by."""
        found = []
        for pair in range(0, head_dim, 2):
            turns = self.original_context / (2 * math.pi * base ** (pair / head_dim))
            span = self.high_frequency_factor - self.low_frequency_factor
            quick = min(max((turns - self.low_frequency_factor) / span, 0.0), 1.0)
            found.append(1 / ((1 - quick) / self.factor + quick))
        return found


class TransformerConfig(BoundaryModel):
    """A decoder-only transformer: GPT-2's shape, Llama's, or a mixture of their parts.

    `head_dim` is the width of one attention head; `bias` covers linear layers and LayerNorm (RMSNorm has none);
    `qk_norm` is an RMSNorm over each head's queries and keys before the rotation.
    """

    family: Literal["transformer"] = "transformer"
    vocab_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    d_model: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    num_kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    dim_feedforward: int = Field(ge=1)
    max_sequence_length: int = Field(ge=1)
    positions: Literal["learned", "rotary"] = "learned"
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    activation: Literal["gelu", "swiglu", "relu2"] = "gelu"
    tie_embeddings: bool = True
    bias: bool = True
    qk_norm: bool = False
    dropout: float = Field(0.0, ge=0, lt=1)
    norm_epsilon: float = Field(1e-5, gt=0)
    rotary_base: float = Field(10_000.0, gt=0)
    rotary_scaling: RotaryScaling | None = None
    unrotated_every: int | None = Field(None, ge=1, description="each so many-th layer turns nothing, as in SmolLM 3")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads ({self.num_kv_heads}) does not divide num_heads ({self.num_heads})")
        if self.positions == "rotary" and self.head_dim % 2:
            raise ValueError(f"rotary positions turn pairs, and a head has {self.head_dim} numbers: make it even")
        return self

    def rotated(self, layer: int) -> bool:
        """Whether layer number `layer`, from 0, turns its queries and keys, where positions are rotary."""
        return self.unrotated_every is None or (layer + 1) % self.unrotated_every != 0

    @property
    def rotary_divisors(self) -> list[float] | None:
        """What each rotation is slowed by; None: they are as `rotary_base` has them."""
        scaling = self.rotary_scaling
        return None if scaling is None else scaling.divisors(self.head_dim, self.rotary_base)


class RecurrentConfig(BoundaryModel):
    """A stack of LSTM or GRU layers; embedding and state have the same width, so that the head can be tied."""

    family: Literal["lstm", "gru"]
    vocab_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    d_model: int = Field(ge=1)
    max_sequence_length: int = Field(ge=1)
    tie_embeddings: bool = True
    bias: bool = True
    dropout: float = Field(0.0, ge=0, lt=1)


ModelConfig = Annotated[TransformerConfig | RecurrentConfig, Field(discriminator="family")]


def model_config(section: ModelSection, vocab_size: int) -> TransformerConfig | RecurrentConfig:
    """The network that a recipe's `model` section describes, for a vocabulary of `vocab_size` tokens.

    Raises RecipeError(ARCHITECTURE_INVALID) for shapes that no network can have.
    """
    try:
        if section.family == "transformer":
            return _transformer_config(section, vocab_size)
        return RecurrentConfig(
            family=section.family,
            vocab_size=vocab_size,
            num_layers=section.num_layers,
            d_model=section.d_model,
            max_sequence_length=section.max_sequence_length,
            tie_embeddings=section.tie_embeddings,
            bias=section.bias,
            dropout=section.dropout,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(
            ErrorCode.ARCHITECTURE_INVALID,
            f"the model section describes no network: {where}{': ' if where else ''}{first['msg']}",
            "change that value under model: in the recipe",
        ) from error


def _transformer_config(section: ModelSection, vocab_size: int) -> TransformerConfig:
    if section.d_model % section.num_heads:
        raise RecipeError(
            ErrorCode.ARCHITECTURE_INVALID,
            f"model.num_heads ({section.num_heads}) does not divide model.d_model ({section.d_model})",
            "set model.num_heads to a divisor of model.d_model",
        )
    return TransformerConfig(
        vocab_size=vocab_size,
        num_layers=section.num_layers,
        d_model=section.d_model,
        num_heads=section.num_heads,
        num_kv_heads=section.num_kv_heads or section.num_heads,
        head_dim=section.d_model // section.num_heads,
        dim_feedforward=section.dim_feedforward,
        max_sequence_length=section.max_sequence_length,
        positions=section.positions,
        norm=section.norm,
        activation=section.activation,
        tie_embeddings=section.tie_embeddings,
        bias=section.bias,
        qk_norm=section.qk_norm,
        dropout=section.dropout,
    )
