"""A rendered example: its text in pieces, each with the weight of its loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

# "control": text that is one token where the tokenizer has it; "end": the tokenizer's end of text, without text.
PieceKind = Literal["text", "control", "end"]


@dataclass(frozen=True)
class Piece:
    """A stretch of text; what has weight 0 is seen, but not learnt. `stops`: it ends an answer."""

    text: str
    weight: float = 0.0
    kind: PieceKind = "text"
    stops: bool = False


@dataclass(frozen=True)
class Span:
    """Characters [start, end) that are learnt with `weight`."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Rendered:
    """One example as the model sees it."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """All pieces in a row; an end of text has none."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def trained(self) -> list[Span]:
        """The learnt stretches; neighbours of one weight are one."""
        spans: list[Span] = []
        for start, piece in self._placed():
            if not piece.weight or not piece.text:
                continue
            end = start + len(piece.text)
            if spans and spans[-1].end == start and spans[-1].weight == piece.weight:
                start = spans.pop().start
            spans.append(Span(start, end, piece.weight))
        return spans

    def marked(self, opening: str = "«", closing: str = "»") -> str:
        """The text with every learnt stretch between two marks, for people to read."""
        text, parts, done = self.text, [], 0
        for span in self.trained:
            parts += [text[done : span.start], opening, text[span.start : span.end], closing]
            done = span.end
        return "".join([*parts, text[done:]])

    def _placed(self) -> Iterator[tuple[int, Piece]]:
        start = 0
        for piece in self.pieces:
            yield start, piece
            start += len(piece.text)


def rendered(pieces: Iterable[Piece]) -> Rendered:
    """Pieces without text left out, but for ends."""
    return Rendered(tuple(piece for piece in pieces if piece.text or piece.kind == "end"))
