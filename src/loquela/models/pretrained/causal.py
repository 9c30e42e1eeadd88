"""A pretrained causal language model of transformers behind a small typed face.

Shapes: B rows, T tokens of a row, D model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from loquela.artifacts.base import Base


class Cache(Protocol):
    """Keys and values of transformers."""

    def get_seq_length(self) -> int:
        """Tokens seen."""


class BodyOutput(Protocol):
    """What the body of a network gives back."""

    last_hidden_state: Tensor


class HeadOutput(Protocol):
    """What a network with its head gives back."""

    logits: Tensor
    past_key_values: Cache


@dataclass(frozen=True)
class ModelFacts:
    """How a model was loaded: `dtype` of weights that are not quantised, `compute_dtype` of the arithmetic."""

    dtype: str
    compute_dtype: str
    quantization: str | None
    attention: str
    device: str
    vocab_size: int
    context: int
    hidden_size: int
    layers: int


class CausalModel:
    """A network of transformers, with or without an adapter.

    `module` is what is called, trained and saved (PEFT's model where there is an adapter), `network` the network of
    transformers inside it.
    """

    def __init__(self, module: nn.Module, network: nn.Module, base: Base, facts: ModelFacts) -> None:
        self.module = module
        self.network = network
        self.base = base
        self.facts = facts

    @property
    def device(self) -> torch.device:
        """Where its first weight lies."""
        return next(self.module.parameters()).device

    @property
    def head(self) -> nn.Module:
        """The output layer; called with hidden states it gives logits."""
        return self.network.get_submodule("lm_head")

    @property
    def head_weight(self) -> Tensor:
        """The output matrix [V, D]; the embedding itself where it is tied."""
        weight = self.head.weight
        if not isinstance(weight, Tensor):
            raise TypeError("the output layer has no weight")
        return weight

    @property
    def body(self) -> nn.Module:
        """The network without its output layer; what it gives back has `last_hidden_state`."""
        return self.network.get_submodule("transformer" if hasattr(self.network, "transformer") else "model")

    def logits(
        self,
        ids: Tensor,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of int64 `ids` [B, T]; with `keep` int64 [K] only those of these positions, [B, K, V]."""
        output: HeadOutput = self.module(
            input_ids=ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
            logits_to_keep=0 if keep is None else keep,
        )
        return output.logits

    def hidden(
        self, ids: Tensor, *, attention_mask: Tensor | None = None, position_ids: Tensor | None = None
    ) -> Tensor:
        """Final, normed hidden states [B, T, D]; `head` of them are the logits."""
        output: BodyOutput = self.body(
            input_ids=ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
        )
        return output.last_hidden_state

    def step(self, ids: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Logits [B, V] after the last of `ids` [B, T], which follow what `cache` has seen, and the cache grown."""
        output: HeadOutput = self.module(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1], output.past_key_values

    @torch.no_grad()
    def generate_greedy(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        stop_ids: Sequence[int],
        pad_id: int,
        between: Callable[[], None] = lambda: None,
    ) -> list[list[int]]:
        """The most likely continuation of every prompt, as one batch padded on the left; a stop token ends a row.

        The stop token is part of what is given back, where it came. `between` is called when all rows have their next
        token; what it raises ends the generation. What generation_config.json asks for besides
        (penalties, samplers) plays no part.
        """
        training = self.module.training
        self.module.eval()
        try:
            return self._greedy(prompts, max_new_tokens, frozenset(stop_ids), pad_id, between)
        finally:
            self.module.train(training)

    def _greedy(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        stops: frozenset[int],
        pad_id: int,
        between: Callable[[], None],
    ) -> list[list[int]]:
        longest = max(len(prompt) for prompt in prompts)
        padding = [longest - len(prompt) for prompt in prompts]
        pairs = list(zip(padding, prompts, strict=True))
        ids = torch.tensor([[pad_id] * left + list(prompt) for left, prompt in pairs], device=self.device)
        mask = torch.tensor([[0] * left + [1] * len(prompt) for left, prompt in pairs], device=self.device)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        cache: Cache | None = None
        written: list[list[int]] = [[] for _ in prompts]
        for _ in range(max_new_tokens):
            output: HeadOutput = self.module(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            chosen: list[int] = output.logits[:, -1].argmax(dim=-1).tolist()
            for row, token in zip(written, chosen, strict=True):
                if not row or row[-1] not in stops:
                    row.append(token)
            between()
            if all(row[-1] in stops for row in written):
                break
            ids = torch.tensor([[token] for token in chosen], device=self.device)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            positions = positions[:, -1:] + 1
        return written
