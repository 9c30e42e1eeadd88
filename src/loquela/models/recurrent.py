"""LSTM and GRU language models. Shapes: B rows, T tokens, D width, V vocabulary, L layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loquela.core.errors import ErrorCode, InternalError
from loquela.models.config import RecurrentConfig
from loquela.models.contract import Cache, LanguageModel
from loquela.models.kernels import linear

# A recurrent state never fills: this capacity stands for "no limit" where a number is wanted.
UNLIMITED = 2**62


class RecurrentState:
    """Hidden state [L, B, D], and for an LSTM the cell state of the same shape."""

    def __init__(self, hidden: Tensor, cell: Tensor | None) -> None:
        self.hidden = hidden
        self.cell = cell
        self.position = 0
        self.capacity = UNLIMITED


class Recurrent(LanguageModel):
    """Embedding, a stack of LSTM or GRU layers of the same width, and a head that may be the embedding itself."""

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.layers = _make_layers(config)
        self.head = None if config.tie_embeddings else nn.Parameter(torch.empty(config.vocab_size, config.d_model))

    @property
    def head_weight(self) -> Tensor:
        """The output matrix [V, D]."""
        return self.token_embedding if self.head is None else self.head

    def hidden(self, tokens: Tensor) -> Tensor:
        """Outputs of the last layer [B, T, D]."""
        return self._run(tokens, self.start_cache(tokens.shape[0], tokens.shape[1]))

    def start_cache(self, batch_size: int, capacity: int) -> RecurrentState:
        """A zero state; a recurrent network has no limit of length, so `capacity` is not needed."""
        config = self.config
        zeros = self.token_embedding.new_zeros(config.num_layers, batch_size, config.d_model)
        return RecurrentState(zeros, zeros.clone() if config.family == "lstm" else None)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits [B, V] after the last of `tokens` [B, T]."""
        if not isinstance(cache, RecurrentState):
            raise InternalError(
                ErrorCode.INTERNAL,
                f"a recurrent network was given a {type(cache).__name__}",
                "start the cache with the same model's start_cache",
            )
        return linear(self._run(tokens, cache)[:, -1], self.head_weight, None)

    def _run(self, tokens: Tensor, state: RecurrentState) -> Tensor:
        x = self._dropped(F.embedding(tokens, self.token_embedding))
        outputs: Tensor
        if isinstance(self.layers, nn.LSTM) and state.cell is not None:
            outputs, (state.hidden, state.cell) = self.layers(x, (state.hidden, state.cell))
        else:
            outputs, state.hidden = self.layers(x, state.hidden)
        state.position += tokens.shape[1]
        return self._dropped(outputs)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training) if self.config.dropout else x


def _make_layers(config: RecurrentConfig) -> nn.LSTM | nn.GRU:
    kind = nn.LSTM if config.family == "lstm" else nn.GRU
    # The constructor draws random weights, which are drawn again from the run's seed: keep the process's own
    # generator where it was.
    with torch.random.fork_rng(devices=[]):
        return kind(
            config.d_model,
            config.d_model,
            config.num_layers,
            bias=config.bias,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )
