"""Llama's folder; Qwen3's, Llama's with a norm on queries and keys; SmolLM3's, where some layers do not rotate.

Rotary positions, RMSNorm, SwiGLU; queries, keys and values are three matrices there and one here, gate and up too.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor

from loquela.models.config import RotaryScaling, TransformerConfig
from loquela.models.formats import Config, Settings, StockSettings, Tensors, transformer

SAME = (
    ("attention_norm.weight", "input_layernorm.weight"),
    ("attention.out.weight", "self_attn.o_proj.weight"),
    ("feed_forward_norm.weight", "post_attention_layernorm.weight"),
    ("feed_forward.down.weight", "mlp.down_proj.weight"),
)
SAME_BIASES = (
    ("attention.out.bias", "self_attn.o_proj.bias"),
    ("feed_forward.down.bias", "mlp.down_proj.bias"),
)
HEAD_NORMS = (
    ("attention.query_norm.weight", "self_attn.q_norm.weight"),
    ("attention.key_norm.weight", "self_attn.k_norm.weight"),
)
QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
CLASSES = {"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM", "smollm3": "SmolLM3ForCausalLM"}
GATE_AND_UP = ("mlp.gate_proj", "mlp.up_proj")
OUTSIDE_BLOCKS = (
    ("token_embedding", "model.embed_tokens.weight"),
    ("final_norm.weight", "model.norm.weight"),
)


class RopeSettings(StockSettings):
    """Plain rotary positions, or Llama 3's scaled ones; every other variant is refused."""

    # Old folders call it type.
    rope_type: Literal["default", "llama3"] = Field("default", validation_alias=AliasChoices("rope_type", "type"))
    rope_theta: float | None = None
    factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None

    @property
    def scaling(self) -> RotaryScaling | None:
        """In our words; ValueError where a number is missing."""
        if self.rope_type == "default":
            return None
        context = self.original_max_position_embeddings
        if not (self.factor and self.low_freq_factor and self.high_freq_factor and context):
            raise ValueError(
                "rope_type llama3 needs factor, low_freq_factor, high_freq_factor and original_max_position_embeddings"
            )
        return RotaryScaling(
            factor=self.factor,
            low_frequency_factor=self.low_freq_factor,
            high_frequency_factor=self.high_freq_factor,
            original_context=context,
        )


class LlamaSettings(StockSettings):
    """The keys of Llama's config.json that decide its arithmetic, with its defaults."""

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: Literal["silu"] = "silu"
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    rope_theta: float | None = None
    rope_scaling: RopeSettings | None = None
    rope_parameters: RopeSettings | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: Literal[False] = False
    # Ours: Llama's class has no dropout on its branches, and none of it plays a part after training.
    dropout: float = 0.0


class SmolLM3Settings(LlamaSettings):
    """Llama's keys with SmolLM3's defaults, and which layers do not rotate."""

    num_key_value_heads: int | None = 4
    max_position_embeddings: int = 32768
    tie_word_embeddings: bool = True
    rope_theta: float | None = 2_000_000.0
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: int = 4


class LlamaFormat:
    """`model_type: llama`, or qwen3 with `qk_norm`, or smollm3 with `unrotated_every`."""

    def __init__(self, model_type: Literal["llama", "qwen3", "smollm3"]) -> None:
        self.model_type: str = model_type
        self.qk_norm = model_type == "qwen3"

    def fits(self, config: Config) -> bool:
        """Llama's shape, whatever its sizes; Qwen3's feed-forward part has no biases."""
        return (
            isinstance(config, TransformerConfig)
            and (config.positions, config.norm, config.activation) == ("rotary", "rmsnorm", "swiglu")
            and config.qk_norm == self.qk_norm
            and (config.unrotated_every is not None) == (self.model_type == "smollm3")
            and not (config.qk_norm and config.bias)
            and config.d_model % config.num_heads == 0
        )

    def settings(self, config: Config) -> Settings:
        """Contents of config.json; the rotary base stands where both old and new readers look for it."""
        shape = transformer(config)
        settings: Settings = {
            "model_type": self.model_type,
            "architectures": [CLASSES[self.model_type]],
            "vocab_size": shape.vocab_size,
            "hidden_size": shape.d_model,
            "intermediate_size": shape.dim_feedforward,
            "num_hidden_layers": shape.num_layers,
            "num_attention_heads": shape.num_heads,
            "num_key_value_heads": shape.num_kv_heads,
            "head_dim": shape.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": shape.max_sequence_length,
            "rms_norm_eps": shape.norm_epsilon,
            "tie_word_embeddings": shape.tie_embeddings,
            "rope_theta": shape.rotary_base,
            "rope_parameters": _rope_settings(shape),
            "attention_bias": shape.bias,
            "dropout": shape.dropout,
        }
        if not self.qk_norm:
            settings["mlp_bias"] = shape.bias
        if shape.unrotated_every is not None:
            settings["no_rope_layers"] = [int(shape.rotated(layer)) for layer in range(shape.num_layers)]
            settings["no_rope_layer_interval"] = shape.unrotated_every
        return settings

    def config(self, settings: Settings) -> TransformerConfig:
        """The network of a config.json."""
        kind = SmolLM3Settings if self.model_type == "smollm3" else LlamaSettings
        stock = kind.model_validate(settings)
        if stock.attention_bias != stock.mlp_bias:
            raise ValueError(
                "attention_bias and mlp_bias differ, and Loquela's networks have biases in both or neither"
            )
        if stock.head_dim is None and stock.hidden_size % stock.num_attention_heads:
            raise ValueError("num_attention_heads does not divide hidden_size")
        # Folders of transformers before 5 say the base beside the scaling.
        rope = stock.rope_parameters or stock.rope_scaling
        base = (rope.rope_theta if rope else None) or stock.rope_theta
        network = TransformerConfig(
            vocab_size=stock.vocab_size,
            num_layers=stock.num_hidden_layers,
            d_model=stock.hidden_size,
            num_heads=stock.num_attention_heads,
            num_kv_heads=stock.num_key_value_heads or stock.num_attention_heads,
            head_dim=stock.head_dim or stock.hidden_size // stock.num_attention_heads,
            dim_feedforward=stock.intermediate_size,
            max_sequence_length=stock.max_position_embeddings,
            positions="rotary",
            norm="rmsnorm",
            activation="swiglu",
            tie_embeddings=stock.tie_word_embeddings,
            bias=stock.attention_bias,
            qk_norm=self.qk_norm,
            dropout=stock.dropout,
            norm_epsilon=stock.rms_norm_eps,
            rotary_base=base or 10_000.0,
            rotary_scaling=rope.scaling if rope else None,
            unrotated_every=stock.no_rope_layer_interval if isinstance(stock, SmolLM3Settings) else None,
        )
        layers = stock.no_rope_layers if isinstance(stock, SmolLM3Settings) else None
        if layers and layers != [int(network.rotated(layer)) for layer in range(stock.num_hidden_layers)]:
            raise ValueError("no_rope_layers is no regular pattern: each so-and-so-many-th layer without rotation")
        return network

    def pack(self, config: Config, state: Tensors) -> Tensors:
        """Our parameters under Llama's names."""
        shape = transformer(config)
        tensors = {theirs: state[ours] for ours, theirs in OUTSIDE_BLOCKS}
        for index in range(shape.num_layers):
            ours_at, theirs_at = f"blocks.{index}.", f"model.layers.{index}."
            tensors |= {theirs_at + theirs: state[ours_at + ours] for ours, theirs in _same(shape)}
            for ours, names, sizes in _fused(shape):
                for kind in _kinds(shape):
                    parts = state[f"{ours_at}{ours}.{kind}"].split(sizes)
                    tensors |= {
                        f"{theirs_at}{name}.{kind}": part.contiguous() for name, part in zip(names, parts, strict=True)
                    }
        if not shape.tie_embeddings:
            tensors["lm_head.weight"] = state["head"]
        return tensors

    def unpack(self, config: Config, tensors: Tensors) -> Tensors:
        """Llama's tensors under our names."""
        shape = transformer(config)
        state = {ours: tensors.pop(theirs) for ours, theirs in OUTSIDE_BLOCKS}
        for index in range(shape.num_layers):
            ours_at, theirs_at = f"blocks.{index}.", f"model.layers.{index}."
            state |= {ours_at + ours: tensors.pop(theirs_at + theirs) for ours, theirs in _same(shape)}
            # Old folders carry the rotary frequencies, which follow from rope_theta.
            tensors.pop(theirs_at + "self_attn.rotary_emb.inv_freq", None)
            for ours, names, _ in _fused(shape):
                for kind in _kinds(shape):
                    parts: list[Tensor] = [tensors.pop(f"{theirs_at}{name}.{kind}") for name in names]
                    state[f"{ours_at}{ours}.{kind}"] = torch.cat(parts)
        if shape.tie_embeddings:
            tensors.pop("lm_head.weight", None)
        else:
            state["head"] = tensors.pop("lm_head.weight")
        return state


def _rope_settings(config: TransformerConfig) -> Settings:
    scaling = config.rotary_scaling
    if scaling is None:
        return {"rope_type": "default", "rope_theta": config.rotary_base}
    return {
        "rope_type": "llama3",
        "rope_theta": config.rotary_base,
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_frequency_factor,
        "high_freq_factor": scaling.high_frequency_factor,
        "original_max_position_embeddings": scaling.original_context,
    }


def _same(config: TransformerConfig) -> tuple[tuple[str, str], ...]:
    return SAME + (SAME_BIASES if config.bias else ()) + (HEAD_NORMS if config.qk_norm else ())


def _kinds(config: TransformerConfig) -> tuple[str, ...]:
    return ("weight", "bias") if config.bias else ("weight",)


def _fused(config: TransformerConfig) -> tuple[tuple[str, tuple[str, ...], list[int]], ...]:
    """Our fused matrices, the names of their parts, and how many rows each part has."""
    queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    return (
        ("attention.qkv", QKV, [queries, keys, keys]),
        ("feed_forward.up", GATE_AND_UP, [config.dim_feedforward, config.dim_feedforward]),
    )
