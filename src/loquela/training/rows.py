"""The training rows of a token stream: fixed windows, so that nothing is lost and nothing is seen twice.

Row i of context T reads the tokens [i*T, i*T + T + 1): the first T are the inputs, the last T the targets.
Neighbouring windows share one token, so every token of the stream but its very first is a target exactly
once. The last row is padded: inputs with the end-of-document token, targets with IGNORED.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from loquela.core.errors import DataError, ErrorCode

Tokens = npt.NDArray[np.int64]

# The value that torch's losses skip by default.
IGNORED = -100


class TokenStream(Protocol):
    """What rows are cut from; `artifacts.shards.TokenShards` is one."""

    @property
    def tokens_total(self) -> int:
        """Length of the stream in tokens."""

    @property
    def eos_id(self) -> int:
        """The id that ends each document."""

    def read(self, start: int, stop: int) -> Tokens:
        """The ids of tokens [start, stop), int64, proved to be in the vocabulary (DataError if not)."""


class Rows:
    """Windows of `context` tokens over `shards`; DataError(INSUFFICIENT_DATA) when there is nothing to predict."""

    def __init__(self, shards: TokenStream, context: int) -> None:
        if shards.tokens_total < 2:
            raise DataError(
                ErrorCode.INSUFFICIENT_DATA,
                f"the token stream has {shards.tokens_total} tokens; a row needs at least two",
                "give more text in data.sources, or a smaller validation_fraction and test_fraction",
                details={"tokens_total": shards.tokens_total},
            )
        self.shards = shards
        self.context = context
        self.label_tokens_total = shards.tokens_total - 1
        self.count = -(-self.label_tokens_total // context)

    def label_tokens(self, indices: Tokens) -> int:
        """How many targets the rows at `indices` have together, without reading them."""
        missing = self.count * self.context - self.label_tokens_total
        return int(indices.size) * self.context - missing * int(np.count_nonzero(indices == self.count - 1))

    def row(self, index: int) -> tuple[Tokens, Tokens]:
        """(tokens[T], targets[T]) of one row."""
        tokens, targets = self.batch(np.array([index], dtype=np.int64))
        return tokens[0], targets[0]

    def batch(self, indices: Tokens) -> tuple[Tokens, Tokens]:
        """(tokens[B, T], targets[B, T]) of the rows at `indices`, in that order; B may be 0.

        Raises DataError(CORRUPT_DATA) for an index that is no row or a window shorter than it must be, and
        whatever the stream raises for damaged tokens.
        """
        window = np.full((indices.size, self.context + 1), IGNORED, dtype=np.int64)
        for place, index in enumerate(indices.tolist()):
            start = index * self.context
            stop = min(start + self.context + 1, self.shards.tokens_total)
            window[place, : stop - start] = self._checked(index, start, stop)
        tokens = window[:, :-1].copy()
        tokens[tokens == IGNORED] = self.shards.eos_id
        return tokens, window[:, 1:].copy()

    def _checked(self, index: int, start: int, stop: int) -> Tokens:
        if not 0 <= index < self.count:
            raise corrupt_row(index, f"there are {self.count} rows")
        ids = self.shards.read(start, stop)
        if ids.size != stop - start:
            raise corrupt_row(index, f"{ids.size} tokens came where [{start}, {stop}) was asked")
        return ids


def corrupt_row(index: int, what: str) -> DataError:
    """The error for a row that cannot be what the shards' manifest promises."""
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"row {index} of the token shards cannot be used: {what}",
        "delete the shards artifact and run the same command again; prepare will make it anew",
        details={"row": index},
    )
