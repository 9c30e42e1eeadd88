"""Our networks with their state as argument and result, as tracing wants them: no branch on lengths, no object.

Shapes: B rows, T new tokens, P tokens before them, L layers, K key-value heads, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loquela.models.layers import rotary_table
from loquela.models.recurrent import Recurrent
from loquela.models.transformer import Attention, Block, Transformer


class Head(nn.Module):
    """The output matrix as a module, so that it can be exchanged for a quantised one."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] → [B, T, V]."""
        return F.linear(x, self.weight)


class Table(nn.Module):
    """The token embedding as a module."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, T] → [B, T, D]."""
        return F.embedding(tokens, self.weight)


class StatefulTransformer(nn.Module):
    """tokens [B, T], keys and values [L, B, K, P, head_dim] → logits [B, T, V], keys and values [L, B, K, P+T, …]."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.config = model.config
        self.blocks = [block for block in model.blocks if isinstance(block, Block)]
        self.kept = nn.ModuleList(self.blocks)
        self.final_norm = model.final_norm
        self.position_embedding = model.position_embedding
        self.table: nn.Module = Table(model.token_embedding)
        self.head: nn.Module = Head(model.head_weight)

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of every new token, and the state after the last."""
        positions = torch.arange(keys.shape[3], keys.shape[3] + tokens.shape[1])
        seen = torch.arange(keys.shape[3] + tokens.shape[1])
        allowed = seen[None, :] <= positions[:, None]
        x = self.table(tokens)
        rotation: tuple[Tensor, Tensor] | None = None
        if self.position_embedding is not None:
            x = x + F.embedding(positions, self.position_embedding)
        else:
            rotation = rotary_table(positions, self.config)
        new_keys, new_values = [], []
        for index, block in enumerate(self.blocks):
            attention = block.attention
            queries, own_keys, own_values = attention.heads(
                block.attention_norm(x), rotation if self.config.rotated(index) else None
            )
            new_keys.append(torch.cat((keys[index], own_keys), dim=2))
            new_values.append(torch.cat((values[index], own_values), dim=2))
            x = x + _attend(attention, queries, new_keys[-1], new_values[-1], allowed)
            x = x + block.feed_forward(block.feed_forward_norm(x))
        logits: Tensor = self.head(self.final_norm(x))
        return logits, torch.stack(new_keys), torch.stack(new_values)


class StatefulLstm(nn.Module):
    """(tokens [B, T], hidden and cell [L, B, D]) → (logits [B, T, V], hidden, cell)."""

    def __init__(self, model: Recurrent) -> None:
        super().__init__()
        self.layers: nn.Module = model.layers
        self.table: nn.Module = Table(model.token_embedding)
        self.head: nn.Module = Head(model.head_weight)

    def forward(self, tokens: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of every new token, and the state after the last."""
        outputs, (hidden, cell) = self.layers(self.table(tokens), (hidden, cell))
        logits: Tensor = self.head(outputs)
        return logits, hidden, cell


class StatefulGru(nn.Module):
    """(tokens [B, T], hidden [L, B, D]) → (logits [B, T, V], hidden)."""

    def __init__(self, model: Recurrent) -> None:
        super().__init__()
        self.layers: nn.Module = model.layers
        self.table: nn.Module = Table(model.token_embedding)
        self.head: nn.Module = Head(model.head_weight)

    def forward(self, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of every new token, and the state after the last."""
        outputs, hidden = self.layers(self.table(tokens), hidden)
        logits: Tensor = self.head(outputs)
        return logits, hidden


def _attend(attention: Attention, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """[B, T, D] of queries [B, H, T, head_dim] over keys and values [B, K, P+T, head_dim]."""
    groups = attention.num_heads // attention.num_kv_heads
    if groups > 1:
        keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
    merged = mixed.transpose(1, 2).reshape(mixed.shape[0], mixed.shape[2], attention.num_heads * attention.head_dim)
    result: Tensor = attention.out(merged)
    return result
