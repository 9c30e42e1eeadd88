"""Logits by one of our networks in torch: checkpoints, runs, Hugging Face folders, safetensors bundles.

Shapes: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from loquela.artifacts.bundle import BundleFacts
from loquela.inference.runtimes.contract import UNLIMITED, Logits
from loquela.models.config import TransformerConfig
from loquela.models.contract import Cache, LanguageModel
from loquela.models.folder import load_model
from loquela.models.kernels import linear

# Most texts are shorter: a cache for the whole window of a large model would be held for nothing.
ROOM_FOR_NEW_TOKENS = 512


class TorchRuntime:
    """A network on the device where it lies; whoever owns it may train it on between two calls."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.vocab_size = model.config.vocab_size
        unlimited = not isinstance(model.config, TransformerConfig)
        self.context = UNLIMITED if unlimited else model.config.max_sequence_length
        self._tokens: list[int] = []
        self._cache: Cache | None = None

    @torch.inference_mode()
    def logits(self, tokens: list[int]) -> Logits:
        """[T, V] after every token; DataError(SEQUENCE_TOO_LONG) beyond the context."""
        with _evaluating(self.model):
            hidden = self.model.hidden(self._tensor(tokens))[0]
            return _array(linear(hidden, self.model.head_weight, None))

    @torch.inference_mode()
    def start(self, tokens: list[int]) -> Logits:
        """Read `tokens` into an empty cache; [V] after the last."""
        self._tokens = list(tokens)
        self._cache = self.model.start_cache(1, min(self.context, len(tokens) + ROOM_FOR_NEW_TOKENS))
        with _evaluating(self.model):
            return _array(self.model.step(self._tensor(tokens), self._cache)[0])

    @torch.inference_mode()
    def step(self, token: int) -> Logits:
        """Append `token`; [V] after it. A cache that is full is made anew, twice as long."""
        self._tokens.append(token)
        if self._cache is None or self._cache.position == self._cache.capacity < self.context:
            return self._enlarged()
        with _evaluating(self.model):
            return _array(self.model.step(self._tensor([token]), self._cache)[0])

    def close(self) -> None:
        """Let the cache go; the network belongs to others."""
        self._cache = None
        self._tokens = []

    def _enlarged(self) -> Logits:
        self._cache = self.model.start_cache(1, min(self.context, 2 * len(self._tokens)))
        with _evaluating(self.model):
            return _array(self.model.step(self._tensor(self._tokens), self._cache)[0])

    def _tensor(self, tokens: list[int]) -> Tensor:
        return torch.tensor([tokens], device=self.model.head_weight.device)


def open_runtime(folder: Path, facts: BundleFacts) -> TorchRuntime:
    """The network of a safetensors bundle; DataError(PRETRAINED_LOAD_FAILED) for one that cannot be loaded."""
    place = folder / facts.model_file
    return TorchRuntime(load_model(place if place.is_dir() else place.parent))


@contextmanager
def _evaluating(model: LanguageModel) -> Iterator[None]:
    """Dropout off, and the network left as it was."""
    if not model.training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


def _array(logits: Tensor) -> Logits:
    array: Logits = logits.to("cpu", torch.float32).numpy()
    return array
