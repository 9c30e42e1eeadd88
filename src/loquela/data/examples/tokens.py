"""A rendered example → token ids with loss weights.

What is learnt is encoded apart from what is not, as a model meets it: the prompt is encoded, then tokens follow. A
control text is one token where the tokenizer has it as one, else it is text and the end of text is put behind it where
an answer ends, so that every answer ends in a token that stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loquela.data.examples.templates.rendered import Piece, Rendered

ABSENT = -1


class Encoder(Protocol):
    """The part of a tokenizer that is needed."""

    @property
    def vocab_size(self) -> int:
        """Number of ids."""

    @property
    def eos_id(self) -> int:
        """End of a text; -1 where there is none."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; text that spells a special token stays text."""

    def token_text(self, token_id: int) -> str:
        """One token for people to read."""


class ExampleEncoder:
    """Encodes rendered examples with one tokenizer and one template's control texts."""

    def __init__(self, tokenizer: Encoder, controls: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self.control_ids = _control_ids(tokenizer, controls)

    def encode(self, rendered: Rendered) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Ids and weights; DataError(TOKENIZATION_FAILED) for what the tokenizer cannot encode."""
        ids: list[int] = []
        weights: list[float] = []
        for weight, found in self._encoded(rendered):
            ids += found
            weights += [weight] * len(found)
        return np.array(ids, dtype=np.uint32), np.array(weights, dtype=np.float32)

    def _encoded(self, rendered: Rendered) -> Iterator[tuple[float, list[int]]]:
        end = [self._tokenizer.eos_id] if self._tokenizer.eos_id != ABSENT else []
        for (weight, kind), pieces in groupby(rendered.pieces, key=self._sort):
            if kind == "end":
                yield weight, end
            elif kind == "control":
                yield from ((weight, [self.control_ids[piece.text]]) for piece in pieces)
            else:
                held = list(pieces)
                yield weight, self._tokenizer.encode("".join(piece.text for piece in held))
                if weight and held[-1].kind == "control":
                    yield weight, end

    def _sort(self, piece: Piece) -> tuple[float, str]:
        """What is encoded together: a control text that is no token of its own is text like any other."""
        known = piece.kind != "control" or piece.text in self.control_ids
        return piece.weight, piece.kind if known else "text"


def _control_ids(tokenizer: Encoder, controls: tuple[str, ...]) -> dict[str, int]:
    """The ids of those control texts that are one token each."""
    wanted = set(controls)
    if not wanted:
        return {}
    texts = ((tokenizer.token_text(token_id), token_id) for token_id in range(tokenizer.vocab_size))
    return {text: token_id for text, token_id in texts if text in wanted}
