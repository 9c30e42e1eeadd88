"""What decides the size and cost of a pretrained decoder, read off its config.json. Loads no tensor library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name
from loquela.models.pretrained.shapes import ARCHITECTURES, is_tied

QK_NORMED_BY_HEAD = ("qwen3",)
QK_NORMED_WHOLE = ("olmo2",)
LAYER_NORMED = ("gpt2",)
WITHOUT_NORM_WEIGHTS = ("olmo",)
BIASED_QKV = ("qwen2",)


@dataclass(frozen=True)
class Linear:
    """One matrix of a layer by its module's name; `copies` of it stand in each layer (experts)."""

    name: str
    inputs: int
    outputs: int
    copies: int = 1
    active: float = 1.0  # how many of the copies see a token


class BaseShape(BoundaryModel):
    """A decoder-only transformer as its config.json describes it; `experts` > 1 is a mixture of feed-forward parts."""

    model_type: str
    hidden: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    inner: int = Field(gt=0)
    vocab: int = Field(gt=0)
    context: int = Field(gt=0)
    tied: bool
    experts: int = Field(1, ge=1)
    experts_per_token: int = Field(1, ge=1)
    attention_bias: bool = False
    drops_out: bool = Field(False, description="the base itself drops activations and scores while it trains")

    @property
    def gated(self) -> bool:
        """Whether the feed-forward part multiplies two branches (Llama), or has one (GPT-2)."""
        return self.model_type != "gpt2"

    @property
    def query_width(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Width of all keys (or values) of a token."""
        return self.kv_heads * self.head_dim

    def linears(self) -> Iterator[Linear]:
        """The matrices of one layer, but for a mixture's router."""
        if not self.gated:
            yield Linear("c_attn", self.hidden, 3 * self.hidden)
            yield Linear("c_proj", self.hidden, self.hidden)
            yield Linear("c_fc", self.hidden, self.inner)
            yield Linear("c_proj", self.inner, self.hidden)
            return
        yield Linear("q_proj", self.hidden, self.query_width)
        yield Linear("k_proj", self.hidden, self.key_width)
        yield Linear("v_proj", self.hidden, self.key_width)
        yield Linear("o_proj", self.query_width, self.hidden)
        names = ("gate_proj", "up_proj", "down_proj") if self.experts == 1 else ("w1", "w3", "w2")
        for name in names:
            down = name in ("down_proj", "w2")
            sizes = (self.inner, self.hidden) if down else (self.hidden, self.inner)
            yield Linear(name, *sizes, self.experts, self.experts_per_token)

    def matrix_parameters(self, *, active: bool = False) -> int:
        """Weights of all layers' matrices; `active` counts only the experts that see a token."""
        per_layer = sum(
            linear.inputs * linear.outputs * (linear.active if active else linear.copies) for linear in self.linears()
        )
        router = self.hidden * self.experts if self.experts > 1 else 0
        return round(self.layers * (per_layer + router))

    def embedding_parameters(self) -> int:
        """Embedding, learnt positions where there are any, and a head of its own."""
        positions = 0 if self.gated else self.context * self.hidden
        return self.vocab * self.hidden * (1 if self.tied else 2) + positions

    def vector_parameters(self) -> int:
        """Norm weights and biases."""
        norm = 0 if self.model_type in WITHOUT_NORM_WEIGHTS else self.hidden * (1 if self.gated else 2)
        per_layer = 2 * norm
        if self.model_type in QK_NORMED_BY_HEAD:
            per_layer += 2 * self.head_dim
        if self.model_type in QK_NORMED_WHOLE:
            per_layer += self.query_width + self.key_width
        if self.model_type in BIASED_QKV or self.attention_bias:
            per_layer += self.query_width + 2 * self.key_width
        if not self.gated:
            per_layer += sum(linear.outputs for linear in self.linears())
        return self.layers * per_layer + norm

    def parameters(self) -> int:
        """All of them, a tied matrix counted once."""
        return self.matrix_parameters() + self.embedding_parameters() + self.vector_parameters()

    def forward_flops(self, length: float) -> float:
        """Operations of one token's way through the layers: 2 a weight, and attention over `length` tokens.

        Queries·keys and weights·values cost 2 × width each per token looked at; without the saving of the causal
        mask, as in `models.size.flops_per_token`. The head is not counted here: it may see fewer tokens.
        """
        return 2.0 * self.matrix_parameters(active=True) + 4.0 * self.layers * self.query_width * length

    def head_flops(self) -> float:
        """Operations of the output matrix for one token, forward."""
        return 2.0 * self.vocab * self.hidden


def shape_of(config: dict[str, JsonValue], where: str) -> BaseShape:
    """The shape that a config.json describes; RecipeError(UNSUPPORTED_FORMAT) when it is not one of the known types."""
    model_type = str(config.get("model_type"))
    if model_type not in ARCHITECTURES:
        raise RecipeError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{where}: {unknown_name('model_type', model_type, ARCHITECTURES)}",
            "choose a base of one of the known types in finetune.base",
        )
    reader = _Reader(config, where)
    heads = reader.number("num_attention_heads", "n_head")
    hidden = reader.number("hidden_size", "n_embd")
    return BaseShape(
        model_type=model_type,
        hidden=hidden,
        layers=reader.number("num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=reader.number("num_key_value_heads", fallback=heads),
        head_dim=reader.number("head_dim", fallback=hidden // heads),
        inner=reader.number("intermediate_size", "n_inner", fallback=4 * hidden),
        vocab=reader.number("vocab_size"),
        context=reader.number("max_position_embeddings", "n_positions", "n_ctx"),
        tied=is_tied(model_type, config),
        experts=reader.number("num_local_experts", fallback=8 if model_type == "mixtral" else 1),
        experts_per_token=reader.number("num_experts_per_tok", fallback=2 if model_type == "mixtral" else 1),
        attention_bias=config.get("attention_bias") is True,
        drops_out=model_type == "gpt2" and config.get("resid_pdrop") != 0,
    )


@dataclass(frozen=True)
class _Reader:
    config: dict[str, JsonValue]
    where: str

    def number(self, *keys: str, fallback: int | None = None) -> int:
        """The first of `keys` that holds a positive number."""
        for key in keys:
            value = self.config.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
        if fallback is not None:
            return fallback
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{self.where}: config.json does not say {' or '.join(keys)}, so nothing can be predicted",
            "give finetune.base a whole model folder, or a model whose config.json is complete",
        )
