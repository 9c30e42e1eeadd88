"""Logits by a network of transformers, with or without an adapter: bases, adapters, merged models.

Shapes: T tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loquela.core.errors import DataError, ErrorCode
from loquela.inference.runtimes.contract import Logits
from loquela.models.pretrained.causal import Cache, CausalModel


class PretrainedRuntime:
    """A model in eval mode, with the cache of keys and values that transformers keeps."""

    def __init__(self, model: CausalModel) -> None:
        self.model = model
        self.model.module.eval()
        self.vocab_size = model.facts.vocab_size
        self.context = model.facts.context
        self._cache: Cache | None = None
        self._seen = 0

    @torch.inference_mode()
    def logits(self, tokens: list[int]) -> Logits:
        """[T, V] after every token; DataError(SEQUENCE_TOO_LONG) beyond the context."""
        self._check_room(len(tokens))
        return _array(self.model.logits(self._tensor(tokens))[0])

    @torch.inference_mode()
    def start(self, tokens: list[int]) -> Logits:
        """Read `tokens` into an empty cache; [V] after the last."""
        self._cache, self._seen = None, 0
        return self._read(tokens)

    @torch.inference_mode()
    def step(self, token: int) -> Logits:
        """Append `token`; [V] after it."""
        return self._read([token])

    def close(self) -> None:
        """Let the cache go."""
        self._cache, self._seen = None, 0

    def _read(self, tokens: list[int]) -> Logits:
        self._check_room(self._seen + len(tokens))
        logits, self._cache = self.model.step(self._tensor(tokens), self._cache)
        self._seen += len(tokens)
        return _array(logits[0])

    def _check_room(self, needed: int) -> None:
        if needed > self.context:
            raise DataError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"{needed} tokens do not fit into the context of {self.context}",
                "give a shorter text",
            )

    def _tensor(self, tokens: list[int]) -> Tensor:
        return torch.tensor([tokens], device=self.model.device)


def _array(logits: Tensor) -> Logits:
    array: Logits = logits.to("cpu", torch.float32).numpy()
    return array
