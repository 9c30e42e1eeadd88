"""GPT-2's folder: learned positions, LayerNorm, tanh GELU, biases everywhere, matrices stored transposed."""

from __future__ import annotations

from typing import Literal

from loquela.models.config import TransformerConfig
from loquela.models.formats import Config, Settings, StockSettings, Tensors, transformer

PREFIX = "transformer."
VECTORS = (
    ("attention_norm.weight", "ln_1.weight"),
    ("attention_norm.bias", "ln_1.bias"),
    ("attention.qkv.bias", "attn.c_attn.bias"),
    ("attention.out.bias", "attn.c_proj.bias"),
    ("feed_forward_norm.weight", "ln_2.weight"),
    ("feed_forward_norm.bias", "ln_2.bias"),
    ("feed_forward.up.bias", "mlp.c_fc.bias"),
    ("feed_forward.down.bias", "mlp.c_proj.bias"),
)
MATRICES = (
    ("attention.qkv.weight", "attn.c_attn.weight"),
    ("attention.out.weight", "attn.c_proj.weight"),
    ("feed_forward.up.weight", "mlp.c_fc.weight"),
    ("feed_forward.down.weight", "mlp.c_proj.weight"),
)
OUTSIDE_BLOCKS = (
    ("token_embedding", "wte.weight"),
    ("position_embedding", "wpe.weight"),
    ("final_norm.weight", "ln_f.weight"),
    ("final_norm.bias", "ln_f.bias"),
)
# Older folders carry the causal mask as tensors; it is not a weight.
MASKS = ("attn.bias", "attn.masked_bias")


class Gpt2Settings(StockSettings):
    """The keys of GPT-2's config.json that decide its arithmetic, with its defaults."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: Literal["gelu_new", "gelu_pytorch_tanh"] = "gelu_new"
    resid_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[False] = False


class Gpt2Format:
    """`model_type: gpt2`."""

    model_type = "gpt2"

    def fits(self, config: Config) -> bool:
        """GPT-2's own shape, whatever its sizes."""
        return (
            isinstance(config, TransformerConfig)
            and (config.positions, config.norm, config.activation) == ("learned", "layernorm", "gelu")
            and config.bias
            and not config.qk_norm
            and config.num_kv_heads == config.num_heads
            and config.num_heads * config.head_dim == config.d_model
        )

    def settings(self, config: Config) -> Settings:
        """Contents of config.json."""
        shape = transformer(config)
        return {
            "model_type": self.model_type,
            "architectures": ["GPT2LMHeadModel"],
            "vocab_size": shape.vocab_size,
            "n_positions": shape.max_sequence_length,
            "n_embd": shape.d_model,
            "n_layer": shape.num_layers,
            "n_head": shape.num_heads,
            "n_inner": shape.dim_feedforward,
            "activation_function": "gelu_new",
            "resid_pdrop": shape.dropout,
            "embd_pdrop": shape.dropout,
            "attn_pdrop": 0.0,
            "layer_norm_epsilon": shape.norm_epsilon,
            "tie_word_embeddings": shape.tie_embeddings,
        }

    def config(self, settings: Settings) -> TransformerConfig:
        """The network of a config.json."""
        stock = Gpt2Settings.model_validate(settings)
        if stock.n_embd % stock.n_head:
            raise ValueError(f"n_head ({stock.n_head}) does not divide n_embd ({stock.n_embd})")
        return TransformerConfig(
            vocab_size=stock.vocab_size,
            num_layers=stock.n_layer,
            d_model=stock.n_embd,
            num_heads=stock.n_head,
            num_kv_heads=stock.n_head,
            head_dim=stock.n_embd // stock.n_head,
            dim_feedforward=stock.n_inner or 4 * stock.n_embd,
            max_sequence_length=stock.n_positions,
            tie_embeddings=stock.tie_word_embeddings,
            dropout=stock.resid_pdrop,
            norm_epsilon=stock.layer_norm_epsilon,
        )

    def pack(self, config: Config, state: Tensors) -> Tensors:
        """Our parameters under GPT-2's names."""
        shape = transformer(config)
        tensors = {PREFIX + theirs: state[ours] for ours, theirs in OUTSIDE_BLOCKS}
        for index in range(shape.num_layers):
            ours_at, theirs_at = f"blocks.{index}.", f"{PREFIX}h.{index}."
            tensors |= {theirs_at + theirs: state[ours_at + ours] for ours, theirs in VECTORS}
            tensors |= {theirs_at + theirs: state[ours_at + ours].t().contiguous() for ours, theirs in MATRICES}
        if not shape.tie_embeddings:
            tensors["lm_head.weight"] = state["head"]
        return tensors

    def unpack(self, config: Config, tensors: Tensors) -> Tensors:
        """GPT-2's tensors, with or without its prefix, under our names."""
        shape = transformer(config)
        prefix = PREFIX if PREFIX + "wte.weight" in tensors else ""
        state = {ours: tensors.pop(prefix + theirs) for ours, theirs in OUTSIDE_BLOCKS}
        for index in range(shape.num_layers):
            ours_at, theirs_at = f"blocks.{index}.", f"{prefix}h.{index}."
            state |= {ours_at + ours: tensors.pop(theirs_at + theirs) for ours, theirs in VECTORS}
            state |= {ours_at + ours: tensors.pop(theirs_at + theirs).t() for ours, theirs in MATRICES}
            for mask in MASKS:
                tensors.pop(theirs_at + mask, None)
        if shape.tie_embeddings:
            tensors.pop("lm_head.weight", None)
        else:
            state["head"] = tensors.pop("lm_head.weight")
        return state
