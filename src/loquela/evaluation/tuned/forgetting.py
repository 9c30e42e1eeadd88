"""What was unlearnt? General questions of several kinds, asked of both sides.

A question offers a text several ways to go on; the likeliest per character counts as the answer. Of prose the
perplexity is taken. It is a small check for large losses, no measure of ability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from loquela.evaluation.tuned.continuations import Encode, continuation, likelihoods
from loquela.evaluation.tuned.contracts import ForgettingReport, ForgettingScore, Side
from loquela.evaluation.tuned.general_questions import CHOICES, PROSE, QUESTIONS, Question
from loquela.evaluation.tuned.rates import compute_perplexity
from loquela.models.pretrained.causal import CausalModel

PROSE_KIND = "prose"
KINDS = (*QUESTIONS, PROSE_KIND)
GUESSING = 1 / CHOICES


class GeneralQuestions:
    """Asks one model; `begin_id` stands before a text that has nothing before it."""

    def __init__(
        self,
        model: CausalModel,
        encode: Encode,
        *,
        begin_id: int,
        pad_id: int,
        batch_size: int,
        between: Callable[[], None],
    ) -> None:
        self._model = model
        self._encode = encode
        self._begin_id = begin_id
        self._pad_id = pad_id
        self._batch_size = batch_size
        self._between = between

    def scores(self, side: Side, kinds: Sequence[str]) -> Iterator[ForgettingScore]:
        """One score per kind: share of right answers, of prose the perplexity."""
        for kind in kinds:
            if kind == PROSE_KIND:
                yield ForgettingScore(side=side, kind=kind, questions=len(PROSE), score=self._perplexity())
            else:
                asked = QUESTIONS[kind]
                yield ForgettingScore(side=side, kind=kind, questions=len(asked), score=self._accuracy(asked))

    def _accuracy(self, questions: Sequence[Question]) -> float:
        pairs = [(place, choice) for place, asked in enumerate(questions) for choice in asked.choices]
        nats = self._nats([(questions[place].text, choice) for place, choice in pairs])
        best: dict[int, tuple[float, str]] = {}
        for (place, choice), (cost, _) in zip(pairs, nats, strict=True):
            per_character = cost / len(choice)
            if place not in best or per_character < best[place][0]:
                best[place] = (per_character, choice)
        right = sum(best[place][1] == asked.choices[0] for place, asked in enumerate(questions))
        return right / len(questions)

    def _perplexity(self) -> float:
        found = self._nats([("", text) for text in PROSE])
        loss = sum(nats for nats, _ in found) / sum(tokens for _, tokens in found)
        return compute_perplexity(loss)

    def _nats(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int]]:
        """(nats, tokens) of each continuation."""
        context = self._model.facts.context
        texts = [
            continuation(self._encode, before, after, begin_id=self._begin_id, context=context)
            for before, after in pairs
        ]
        found = likelihoods(self._model, texts, batch_size=self._batch_size, pad_id=self._pad_id, between=self._between)
        return [(each.nats, each.tokens) for each in found]


def forgetting_reports(scores: Sequence[ForgettingScore]) -> list[ForgettingReport]:
    """Both sides beside each other, kind by kind."""
    found = {(score.side, score.kind): score for score in scores}
    reports = []
    for kind in KINDS:
        base, adapter = found.get(("base", kind)), found.get(("adapter", kind))
        if base is not None and adapter is not None:
            reports.append(
                ForgettingReport(
                    kind=kind,
                    questions=base.questions,
                    base=base.score,
                    adapter=adapter.score,
                    lost=lost(kind, base.score, adapter.score),
                )
            )
    return reports


def lost(kind: str, base: float, adapter: float) -> float:
    """Share of what the base knows beyond guessing that is gone; of prose, by how much its perplexity grew.

    0 where the base only guesses.
    """
    if kind == PROSE_KIND:
        return adapter / base - 1
    known, left = max(base - GUESSING, 0.0), max(adapter - GUESSING, 0.0)
    return (known - left) / known if known > 0 else 0.0
