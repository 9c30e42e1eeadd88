"""What training and inference may ask of a network, whatever its family.

Shapes: B rows, T tokens of a row, D model width, V vocabulary, N = B·T.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from torch import Tensor, nn

from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.kernels import linear


class Cache(Protocol):
    """What a network remembers of a row between steps: keys and values, or a recurrent state.

    `position` counts the tokens seen, `capacity` is how many fit.
    """

    position: int
    capacity: int


class LanguageModel(nn.Module):
    """A causal language model: tokens → hidden states → logits of the next token.

    `gradient_checkpointing` trades a second forward pass of each block for its activations.
    """

    config: TransformerConfig | RecurrentConfig
    gradient_checkpointing: bool = False

    @property
    @abstractmethod
    def head_weight(self) -> Tensor:
        """The output matrix [V, D]; the embedding itself when tied."""

    @abstractmethod
    def hidden(self, tokens: Tensor) -> Tensor:
        """Final, normed hidden states [B, T, D] of int64 `tokens` [B, T]; position t has seen tokens 0..t."""

    @abstractmethod
    def start_cache(self, batch_size: int, capacity: int) -> Cache:
        """An empty cache for `batch_size` rows of at most `capacity` tokens, on the model's device."""

    @abstractmethod
    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits [B, V] after the last of `tokens` [B, T], which follow what `cache` has seen; updates `cache`.

        Raises DataError(SEQUENCE_TOO_LONG) when they do not fit, InternalError for another family's cache.
        """

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [B, T, V] of int64 `tokens` [B, T]."""
        return linear(self.hidden(tokens), self.head_weight, None)
