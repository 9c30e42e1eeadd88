"""The loop under generation: a model, its cache, and what happens when the context window is full.

Shapes: B batch (1 here), T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from loquela.models.config import TransformerConfig
from loquela.models.contract import LanguageModel

UNLIMITED = 2**62


def context_window(model: LanguageModel) -> int:
    """How many tokens `model` can look back on while it writes; recurrent networks have no limit."""
    return model.config.max_sequence_length if isinstance(model.config, TransformerConfig) else UNLIMITED


class Decoding:
    """One sequence that grows token by token; each token is computed once, through the model's cache.

    A window that is full slides: the newer half of the tokens is read again into a fresh cache, from position 0,
    and decoding goes on; what is older is no longer seen. So the price of sliding is one pass over half a window
    every half window. `prompt_cut` counts prompt tokens that never fitted, `slides` how often the window moved.
    """

    def __init__(self, model: LanguageModel, prompt: Sequence[int], max_new_tokens: int) -> None:
        """`prompt` holds at least one token; of a longer one than the window, the last tokens are kept."""
        self._model = model
        self._device = model.head_weight.device
        self._window = context_window(model)
        self._tokens = list(prompt[-self._window :])
        self._capacity = min(self._window, len(self._tokens) + max_new_tokens)
        self.prompt_cut = len(prompt) - len(self._tokens)
        self.slides = 0

    @torch.inference_mode()
    def start(self) -> Tensor:
        """Read the prompt; logits [V] of the token after it."""
        self._cache = self._model.start_cache(1, self._capacity)
        return self._model.step(self._tensor(self._tokens), self._cache)[0]

    @torch.inference_mode()
    def advance(self, token: int) -> Tensor:
        """Append `token`; logits [V] of the token after it."""
        if len(self._tokens) == self._window:
            self._tokens = [*self._tokens[self._window - self._window // 2 :], token]
            self._capacity = self._window
            self.slides += 1
            return self.start()
        self._tokens.append(token)
        return self._model.step(self._tensor([token]), self._cache)[0]

    def _tensor(self, tokens: list[int]) -> Tensor:
        return torch.tensor([tokens], device=self._device)
