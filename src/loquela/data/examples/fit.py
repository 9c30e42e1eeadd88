"""An example → the token sequences that the model sees, none longer than it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.examples import Example, Message
from loquela.artifacts.token_rows import TokenSequence
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.examples.faults import Place, RowFault
from loquela.data.examples.ledger import ExamplesTally
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.render import RenderedPart, render_example, rest_of
from loquela.data.examples.tokens import RowEncoder
from loquela.recipe.examples_section import ExamplesSection

LONGEST_SHOWN = 5


@dataclass(frozen=True)
class Overlong:
    """A text that has too many tokens, and why it could not be made to fit."""

    place: Place
    tokens: int
    why: str


class Fitter:
    """Renders, encodes and applies the policy for what is too long; counts all of it.

    Without an encoder nothing is measured and there are no sequences; the template is tried all the same.
    """

    def __init__(
        self, section: ExamplesSection, template: Template, encoder: RowEncoder | None, tally: ExamplesTally
    ) -> None:
        self.section = section
        self.template = template
        self.encoder = encoder
        self.tally = tally
        self.lengths: list[int] = []
        self._overlong: list[Overlong] = []

    def fit(self, example: Example) -> list[TokenSequence] | None:
        """The sequences of an example, None when it is dropped as too long; RowFault where the template has no place.

        The caller has counted the example into the step "template".
        """
        parts = render_example(example, self.template, self.section.learn)
        if self.encoder is None:
            self.tally.leave("template")
            self.tally.enter("overlong")
            self.tally.leave("overlong")
            return []
        sequences = [self._encoded(example, part, self.encoder) for part in parts]
        tokens, learnt = _counts(sequences)
        self.lengths += [len(sequence.ids) for sequence in sequences]
        self.tally.change("template", "encoded", tokens=tokens, learnt_tokens=learnt)
        self.tally.leave("template", 1, tokens, learnt)
        self.tally.enter("overlong", 1, tokens, learnt)
        fitted = self._within(example, sequences, self.encoder)
        if fitted is not None:
            self.tally.leave("overlong", 1, *_counts(fitted))
        return fitted

    def stop_if_overlong(self) -> None:
        """DataError(SEQUENCE_TOO_LONG) with all that did not fit, when the policy does not say what to do with it."""
        if not self._overlong:
            return
        longest = sorted(self._overlong, key=lambda found: -found.tokens)[:LONGEST_SHOWN]
        shown = "; ".join(f"{found.place}: {found.tokens}{found.why}" for found in longest)
        raise DataError(
            ErrorCode.SEQUENCE_TOO_LONG,
            f"{len(self._overlong)} of {len(self.lengths)} texts have more than {self.section.max_tokens} tokens: "
            f"{shown}",
            f"raise examples.max_tokens to {longest[0].tokens}, or write examples.on_overlong: "
            f"{'drop or truncate' if self.section.on_overlong == 'split' else 'split, drop or truncate'}",
            details={"texts": len(self._overlong), "longest": longest[0].tokens},
        )

    def _encoded(self, example: Example, part: RenderedPart, encoder: RowEncoder) -> TokenSequence:
        ids, weights = encoder.encode(part.rendered)
        if not np.count_nonzero(weights):
            raise RowFault("nothing to learn", "no token is trained")
        return TokenSequence(example.id, ids, weights, part.part, answer=self._answer(example, example.messages, ids))

    def _within(
        self, example: Example, sequences: list[TokenSequence], encoder: RowEncoder
    ) -> list[TokenSequence] | None:
        limit = self.section.max_tokens
        longest = max(len(sequence.ids) for sequence in sequences)
        if limit is None or longest <= limit:
            return sequences
        tokens, learnt = _counts(sequences)
        match self.section.on_overlong:
            case "drop":
                self._drop(example, "longer than max_tokens", tokens, learnt)
                return None
            case "truncate":
                return self._truncated(example, sequences, limit)
            case "split":
                pieces = self._split(example, sequences, limit, encoder)
                if pieces is not None:
                    self.tally.touch("overlong", "in several pieces")
                    more, more_learnt = _counts(pieces)
                    self.tally.change(
                        "overlong", "frame repeated in every piece", 0, more - tokens, more_learnt - learnt
                    )
                    return self._with_something_learnt(pieces)
        self._overlong.append(Overlong(place_of(example), longest, self._why(example)))
        return sequences

    def _with_something_learnt(self, pieces: list[TokenSequence]) -> list[TokenSequence]:
        kept = [piece for piece in pieces if np.count_nonzero(piece.weights)]
        self.tally.change("overlong", "pieces with nothing to learn", 0, _counts(kept)[0] - _counts(pieces)[0])
        return kept

    def _why(self, example: Example) -> str:
        if self.section.on_overlong != "split":
            return ""
        single = " (one exchange alone is too long)" if example.kind == "messages" else ""
        return single or f" (a {example.kind} cannot be split)"

    def _drop(self, example: Example, reason: str, tokens: int, learnt: int) -> None:
        self.tally.change("overlong", reason, -1, -tokens, -learnt, place=str(place_of(example)))

    def _truncated(self, example: Example, sequences: list[TokenSequence], limit: int) -> list[TokenSequence] | None:
        cut = [TokenSequence(one.example, one.ids[:limit], one.weights[:limit], one.part) for one in sequences]
        before, after = _counts(sequences), _counts(cut)
        if any(not np.count_nonzero(one.weights) for one in cut):
            self._drop(example, "nothing learnt within max_tokens", *before)
            return None
        self.tally.change(
            "overlong", "truncated", 0, after[0] - before[0], after[1] - before[1], place=str(place_of(example))
        )
        return cut

    def _split(
        self, example: Example, sequences: list[TokenSequence], limit: int, encoder: RowEncoder
    ) -> list[TokenSequence] | None:
        """Text in windows, a conversation in groups of whole exchanges; None for what has no place to split."""
        if example.kind == "text":
            whole = sequences[0]
            starts = range(0, len(whole.ids), limit)
            return [
                TokenSequence(example.id, whole.ids[at : at + limit], whole.weights[at : at + limit], "", piece)
                for piece, at in enumerate(starts)
            ]
        if example.kind != "messages":
            return None
        system, exchanges = _exchanges(example.messages)
        pieces: list[TokenSequence] = []
        first = end = len(system)
        for exchange in [*exchanges, []]:
            longer = self._piece(example, system, (first, end + len(exchange)), len(pieces), encoder)
            if exchange and len(longer.ids) <= limit:
                end += len(exchange)
                continue
            if first == end:
                return None
            pieces.append(self._piece(example, system, (first, end), len(pieces), encoder))
            first, end = end, end + len(exchange)
            if exchange and len(self._piece(example, system, (first, end), 0, encoder).ids) > limit:
                return None
        return pieces

    def _piece(
        self, example: Example, system: Sequence[Message], turns: tuple[int, int], piece: int, encoder: RowEncoder
    ) -> TokenSequence:
        messages = [*system, *example.messages[slice(*turns)]]
        ids, weights = encoder.encode(self.template.render(messages, example.tools, rest_of(self.section.learn)))
        return TokenSequence(example.id, ids, weights, "", piece, turns, self._answer(example, messages, ids))

    def _answer(self, example: Example, messages: Sequence[Message], ids: NDArray[np.uint32]) -> tuple[int, int] | None:
        """Where the last answer stands, which weights do not say where everything is learnt."""
        if self.section.learn != "all" or self.encoder is None or example.kind not in ("messages", "prompt_completion"):
            return None
        shown = example.model_copy(update={"messages": list(messages)})
        try:
            (part,) = render_example(shown, self.template, "completion")
            same, weights = self.encoder.encode(part.rendered)
        except (RowFault, RecipeError):
            return None  # it cannot be told from the rest, which learning everything does not need
        places = np.flatnonzero(weights)
        return (int(places[0]), int(places[-1]) + 1) if len(places) and np.array_equal(same, ids) else None


def place_of(example: Example) -> Place:
    """Where an example came from, as messages tell it."""
    lineage = example.lineage
    return Place(lineage.source, lineage.row, lineage.line, lineage.document)


def _exchanges(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """The system prompt, and the turns from each question up to the next."""
    system = [message for message in messages[:1] if message.role == "system"]
    exchanges: list[list[Message]] = []
    for message in messages[len(system) :]:
        if message.role == "user" or not exchanges:
            exchanges.append([])
        exchanges[-1].append(message)
    return system, exchanges


def _counts(sequences: Sequence[TokenSequence]) -> tuple[int, int]:
    return (
        sum(len(sequence.ids) for sequence in sequences),
        sum(int(np.count_nonzero(sequence.weights)) for sequence in sequences),
    )
