"""Attention of several sequences in one row: each by itself, with torch's fused kernel, without a mask of T × T.

Registered with transformers by its own door (AttentionInterface) under NAME; where no lengths are given, as when text
is generated, it is transformers' own sdpa attention, mask included.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loquela.core.extras import require

NAME = "loquela_sequences"
EXTRA, PURPOSE = "finetune", "fine-tuning a pretrained model"
# Name of the argument that reaches every attention layer through the network's forward.
LENGTHS = "sequence_lengths"

_without_mask: ContextVar[bool] = ContextVar("loquela_without_mask", default=False)


class _Stock(Protocol):
    """An attention function of transformers."""

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        **more: object,
    ) -> tuple[Tensor, None]: ...


class _StockMask(Protocol):
    """A mask function of transformers."""

    def __call__(self, *positional: object, **named: object) -> Tensor | None: ...


@cache
def register() -> str:
    """Make the attention known to transformers, once; its name there."""
    stock = require("transformers.integrations.sdpa_attention", extra=EXTRA, purpose=PURPOSE)
    masks = require("transformers.masking_utils", extra=EXTRA, purpose=PURPOSE)
    transformers = require("transformers", extra=EXTRA, purpose=PURPOSE)
    transformers.AttentionInterface.register(NAME, _attention(stock.sdpa_attention_forward))
    transformers.AttentionMaskInterface.register(NAME, _mask(masks.sdpa_mask))
    return NAME


@contextmanager
def mask_left_out() -> Iterator[None]:
    """Within, networks with this attention make no mask: the lengths of the sequences say all."""
    token = _without_mask.set(True)
    try:
        yield
    finally:
        _without_mask.reset(token)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int],
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    window: int | None = None,
) -> Tensor:
    """[1, ΣT, H, D] of queries [1, H, ΣT, D] on keys and values [1, K, ΣT, D], H a multiple of K.

    Every token sees those of its own sequence up to itself; with a `window`, only the last so many.
    """
    parts = []
    grouped = key.shape[1] != query.shape[1]
    for queries, keys, values in zip(
        query.split(lengths, dim=2), key.split(lengths, dim=2), value.split(lengths, dim=2), strict=True
    ):
        size = queries.shape[2]
        mask = _band(size, window, queries.device) if window is not None and size > window else None
        parts.append(
            F.scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=grouped,
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous()


def _band(size: int, window: int, device: torch.device) -> Tensor:
    places = torch.arange(size, device=device)
    back = places[:, None] - places[None, :]
    return (back >= 0) & (back < window)


def _attention(stock: _Stock) -> _Stock:
    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        **more: object,
    ) -> tuple[Tensor, None]:
        lengths = more.pop(LENGTHS, None)
        if not isinstance(lengths, tuple):
            return stock(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more)
        window = more.get("sliding_window")
        mixed = attend(
            query,
            key,
            value,
            [int(length) for length in lengths],
            dropout=dropout,
            scaling=scaling,
            window=window if isinstance(window, int) else None,
        )
        return mixed, None

    return attention


def _mask(stock: _StockMask) -> _StockMask:
    def mask(*positional: object, **named: object) -> Tensor | None:
        return None if _without_mask.get() else stock(*positional, **named)

    return mask
