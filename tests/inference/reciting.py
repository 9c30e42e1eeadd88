"""A runtime that recites: whatever it is asked, it surely writes the tokens it was given."""

from __future__ import annotations

import numpy as np


class Reciter:
    """After a start, the given tokens in order, again and again. `seen` keeps every prompt."""

    def __init__(self, tokens: list[int], *, vocab_size: int = 264, context: int = 4096) -> None:
        self.tokens = tokens
        self.vocab_size = vocab_size
        self.context = context
        self.seen: list[list[int]] = []
        self.closed = False

    def logits(self, tokens):
        assert len(tokens) <= self.context
        return np.stack([self._sure(place) for place in range(len(tokens))])

    def start(self, tokens):
        assert 0 < len(tokens) <= self.context
        self.seen.append(list(tokens))
        self.place, self.length = 0, len(tokens)
        return self._sure(0)

    def step(self, token):
        assert token == self.tokens[self.place % len(self.tokens)]
        self.place += 1
        self.length += 1
        assert self.length <= self.context
        return self._sure(self.place)

    def close(self):
        self.closed = True

    def _sure(self, place):
        row = np.full(self.vocab_size, -50.0, dtype=np.float32)
        row[self.tokens[place % len(self.tokens)]] = 0.0
        return row
