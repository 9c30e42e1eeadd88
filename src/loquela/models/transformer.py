"""Decoder-only transformer, from GPT-2's shape to Llama's by configuration.

Shapes: B rows, T new tokens, P tokens in the cache, D width, H heads, K key-value heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.models.config import TransformerConfig
from loquela.models.contract import Cache, LanguageModel
from loquela.models.kernels import linear
from loquela.models.layers import FeedForward, Linear, RMSNorm, make_norm, rotary_table, rotate

Rotation = tuple[Tensor, Tensor]


class LayerCache:
    """Keys and values [B, K, capacity, head_dim] of one block."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys = keys
        self.values = values

    def append(self, keys: Tensor, values: Tensor, position: int) -> tuple[Tensor, Tensor]:
        """Write the new keys and values after `position` tokens; returns views of all of them."""
        end = position + keys.shape[2]
        self.keys[:, :, position:end] = keys
        self.values[:, :, position:end] = values
        return self.keys[:, :, :end], self.values[:, :, :end]


class KeyValueCache:
    """What every block has seen of each row."""

    def __init__(self, layers: list[LayerCache], capacity: int) -> None:
        self.layers = layers
        self.capacity = capacity
        self.position = 0


class Attention(nn.Module):
    """Causal self-attention with one fused matrix for queries, keys and values."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.head_dim = config.head_dim
        fused = (config.num_heads + 2 * config.num_kv_heads) * config.head_dim
        self.qkv = Linear(config.d_model, fused, config.bias)
        self.out = Linear(config.num_heads * config.head_dim, config.d_model, config.bias)
        self.query_norm = RMSNorm(config.head_dim, config.norm_epsilon) if config.qk_norm else None
        self.key_norm = RMSNorm(config.head_dim, config.norm_epsilon) if config.qk_norm else None

    def forward(self, x: Tensor, rotation: Rotation | None, cache: LayerCache | None, position: int) -> Tensor:
        """[B, T, D] → [B, T, D]; with a cache, `x` follows its first `position` tokens and is added to it."""
        queries, keys, values = self.heads(x, rotation)
        if cache is not None:
            keys, values = cache.append(keys, values, position)
        if self.num_kv_heads != self.num_heads:
            keys = keys.repeat_interleave(self.num_heads // self.num_kv_heads, dim=1)
            values = values.repeat_interleave(self.num_heads // self.num_kv_heads, dim=1)
        mixed = _causal_attention(queries, keys, values, position)
        merged = mixed.transpose(1, 2).reshape(x.shape[0], x.shape[1], self.num_heads * self.head_dim)
        result: Tensor = self.out(merged)
        return result

    def heads(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, T, head_dim], keys and values [B, K, T, head_dim] of `x` [B, T, D], normed and turned."""
        fused: Tensor = self.qkv(x)
        heads = fused.view(x.shape[0], x.shape[1], self.num_heads + 2 * self.num_kv_heads, self.head_dim)
        queries, keys, values = heads.transpose(1, 2).split(
            (self.num_heads, self.num_kv_heads, self.num_kv_heads), dim=1
        )
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        if rotation is not None:
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        return queries, keys, values


def _causal_attention(queries: Tensor, keys: Tensor, values: Tensor, position: int) -> Tensor:
    """Softmax attention of queries [B, H, T, d] at position.. over keys [B, H, P+T, d]; no future is seen."""
    new_tokens = queries.shape[2]
    if position == 0:
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=new_tokens > 1)
    if new_tokens == 1:
        return F.scaled_dot_product_attention(queries, keys, values)
    seen = torch.arange(keys.shape[2], device=keys.device)
    allowed = seen[None, :] <= seen[position:, None]
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)).

    Dropout falls on the two branches and not on attention weights: the fused attention kernel has none there.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = FeedForward(config)
        self.dropout = config.dropout

    def forward(
        self, x: Tensor, rotation: Rotation | None, cache: LayerCache | None = None, position: int = 0
    ) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        mixed: Tensor = self.attention(self.attention_norm(x), rotation, cache, position)
        x = x + self._dropped(mixed)
        changed: Tensor = self.feed_forward(self.feed_forward_norm(x))
        return x + self._dropped(changed)

    def _dropped(self, branch: Tensor) -> Tensor:
        if self.dropout == 0.0:
            return branch
        return F.dropout(branch, self.dropout, self.training)


class Transformer(LanguageModel):
    """Token (and position) embedding, blocks, a last norm, and a head that may be the embedding itself."""

    config: TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.position_embedding = (
            nn.Parameter(torch.empty(config.max_sequence_length, config.d_model))
            if config.positions == "learned"
            else None
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = make_norm(config)
        self.head = None if config.tie_embeddings else nn.Parameter(torch.empty(config.vocab_size, config.d_model))

    @property
    def head_weight(self) -> Tensor:
        """The output matrix [V, D]."""
        return self.token_embedding if self.head is None else self.head

    def hidden(self, tokens: Tensor) -> Tensor:
        """Final, normed hidden states [B, T, D]."""
        return self._run(tokens, None)

    def start_cache(self, batch_size: int, capacity: int) -> KeyValueCache:
        """An empty key-value cache; DataError(SEQUENCE_TOO_LONG) when `capacity` exceeds the context."""
        self._check_length(capacity, "a cache")
        config, weight = self.config, self.token_embedding
        shape = (batch_size, config.num_kv_heads, capacity, config.head_dim)
        layers = [LayerCache(weight.new_empty(shape), weight.new_empty(shape)) for _ in range(config.num_layers)]
        return KeyValueCache(layers, capacity)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits [B, V] after the last of `tokens` [B, T]."""
        if not isinstance(cache, KeyValueCache):
            raise InternalError(
                ErrorCode.INTERNAL,
                f"a transformer was given a {type(cache).__name__}",
                "start the cache with the same model's start_cache",
            )
        if cache.position + tokens.shape[1] > cache.capacity:
            raise DataError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"{cache.position} + {tokens.shape[1]} tokens do not fit into a cache of {cache.capacity}",
                "start the cache with a larger capacity, or shorten the text",
            )
        last = self._run(tokens, cache)[:, -1]
        return linear(last, self.head_weight, None)

    def _run(self, tokens: Tensor, cache: KeyValueCache | None) -> Tensor:
        start = 0 if cache is None else cache.position
        end = start + tokens.shape[1]
        self._check_length(end, "the text")
        x, rotation = self._embed(tokens, start, end)
        for index, block in enumerate(self.blocks):
            turn = rotation if self.config.rotated(index) else None
            if cache is not None:
                x = block(x, turn, cache.layers[index], start)
            elif self.gradient_checkpointing and self.training:
                x = _checkpointed(block, x, turn)
            else:
                x = block(x, turn)
        if cache is not None:
            cache.position = end
        normed: Tensor = self.final_norm(x)
        return normed

    def _embed(self, tokens: Tensor, start: int, end: int) -> tuple[Tensor, Rotation | None]:
        x = F.embedding(tokens, self.token_embedding)
        rotation = None
        if self.position_embedding is not None:
            x = x + self.position_embedding[start:end]
        else:
            places = torch.arange(start, end, device=tokens.device)
            rotation = rotary_table(places, self.config)
        if self.config.dropout:
            x = F.dropout(x, self.config.dropout, self.training)
        return x, rotation

    def _check_length(self, tokens: int, what: str) -> None:
        if tokens > self.config.max_sequence_length:
            raise DataError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"{what} of {tokens} tokens exceeds the model's context of {self.config.max_sequence_length}",
                "shorten the text, or train with a larger model.max_sequence_length",
                details={"tokens": tokens, "context": self.config.max_sequence_length},
            )

    def residual_outputs(self) -> Iterable[nn.Parameter]:
        """The matrices that write into the residual stream, which are initialised smaller."""
        for module in self.modules():
            if isinstance(module, Attention):
                yield module.out.weight
            elif isinstance(module, FeedForward):
                yield module.down.weight


def _checkpointed(block: nn.Module, x: Tensor, rotation: Rotation | None) -> Tensor:
    result: Tensor = checkpoint(block, x, rotation, use_reentrant=False)
    return result
