"""A rendered example → token ids with loss weights.

With a base model, a text is encoded whole, as transformers does it. Without one, what is learnt is encoded apart from
what is not, as a model meets it: the prompt is encoded, then tokens follow. A control text is one token where the
tokenizer has it as one, else it is text and the end of text is put behind it where an answer ends, so that every answer
ends in a token that stops.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.examples.faults import RowFault
from loquela.data.examples.templates.rendered import Piece, Rendered
from loquela.tokenizers.template_text import TemplateTokenizer

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


class RowEncoder(Protocol):
    """Turns rendered examples into tokens."""

    def encode(self, rendered: Rendered) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Ids and weights; DataError(TOKENIZATION_FAILED) for what cannot be encoded, RowFault for what fits badly."""


class TemplateEncoder:
    """Encodes the texts of chat templates for a base model: training sees the ids that transformers makes of them."""

    def __init__(self, tokenizer: TemplateTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, rendered: Rendered) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Ids and weights; the first token has none, since nothing comes before it that could lead to it.

        When an answer begins in the middle of a token, a model that has read the prompt could never write it: RowFault
        where that is the answer's doing, RecipeError(CONFIG_INVALID) where it is the template's.
        """
        if rendered.pieces and rendered.pieces[-1].kind == "end":
            return self._plain(rendered.text)
        stretches = _stretches(rendered)
        ends = [rendered.text[:end] for end, _ in stretches[:-1]]
        whole, *parts = self._tokenizer.encode_all([rendered.text, *ends])
        places = [0]
        for part, ((end, _), (_, weight)) in zip(parts, pairwise(stretches), strict=True):
            place = _common(part, whole)
            if weight and place != len(part):
                raise _cut_token(rendered.text[end : end + 1])
            places.append(max(place, places[-1]))
        weights = np.zeros(len(whole), dtype=np.float32)
        for (start, stop), (_, weight) in zip(pairwise([*places, len(whole)]), stretches, strict=True):
            weights[start:stop] = weight
        weights[:1] = 0
        return np.array(whole, dtype=np.uint32), weights

    def _plain(self, text: str) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Text that no template frames, with the end of text behind it."""
        ids = self._tokenizer.encode_plain(text)
        if self._tokenizer.eos_id != ABSENT and ids[-1:] != [self._tokenizer.eos_id]:
            ids.append(self._tokenizer.eos_id)
        weights = np.ones(len(ids), dtype=np.float32)
        weights[:1] = 0
        return np.array(ids, dtype=np.uint32), weights


def _cut_token(first: str) -> RowFault | RecipeError:
    if first.isspace():
        return RowFault("an answer begins in the middle of a token", "take away the white space that it begins with")
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        "the template does not go with the tokenizer: what stands before an answer becomes other tokens when the "
        "answer follows than when a model is asked to write it, so that training would not see what serving sends",
        "give a template (examples.template: custom) whose prompt does not end in several white spaces",
    )


def _stretches(rendered: Rendered) -> list[tuple[int, float]]:
    """(end in characters, weight) of the stretches of one weight; at least one."""
    found: list[tuple[int, float]] = []
    end = 0
    for piece in rendered.pieces:
        end += len(piece.text)
        if found and found[-1][1] == piece.weight:
            found.pop()
        found.append((end, piece.weight))
    return found or [(0, 0.0)]


def _common(first: list[int], second: list[int]) -> int:
    """How many ids both begin with."""
    shorter = min(len(first), len(second))
    return next((place for place in range(shorter) if first[place] != second[place]), shorter)


class ExampleEncoder:
    """Encodes rendered examples with one tokenizer and one template's control texts, where there is no base model."""

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
        for held in self._together(rendered):
            last = held[-1]
            if last.kind == "end":
                yield last.weight, end
            elif self._is_token(last):
                yield from ((last.weight, [self.control_ids[piece.text]]) for piece in held)
            else:
                yield last.weight, self._tokenizer.encode("".join(piece.text for piece in held))
                if last.stops and last.weight:
                    yield last.weight, end

    def _together(self, rendered: Rendered) -> Iterator[list[Piece]]:
        """What is encoded together; a control text that is no token of its own is text like any other."""
        held: list[Piece] = []
        for piece in rendered.pieces:
            if held and (self._sort(held[-1]) != self._sort(piece) or (held[-1].stops and held[-1].weight)):
                yield held
                held = []
            held.append(piece)
        if held:
            yield held

    def _sort(self, piece: Piece) -> tuple[float, bool, bool]:
        return piece.weight, piece.kind == "end", self._is_token(piece)

    def _is_token(self, piece: Piece) -> bool:
        return piece.kind == "control" and piece.text in self.control_ids


def _control_ids(tokenizer: Encoder, controls: tuple[str, ...]) -> dict[str, int]:
    """The ids of those control texts that are one token each."""
    wanted = set(controls)
    if not wanted:
        return {}
    texts = ((tokenizer.token_text(token_id), token_id) for token_id in range(tokenizer.vocab_size))
    return {text: token_id for text, token_id in texts if text in wanted}
