"""Our models behind the interface of lm-evaluation-harness: texts in, log-likelihoods or texts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from loquela.core.errors import ErrorCode, RecipeError
from loquela.evaluation.tuned.continuations import Continuation, Encode, continuation, likelihoods
from loquela.evaluation.tuned.held_out import Decode
from loquela.models.pretrained.causal import CausalModel

DEFAULT_NEW_TOKENS = 256


class Request(Protocol):
    """One request of the harness: what its kind of call takes."""

    args: tuple[object, ...]


Call = Callable[[Sequence[Request]], object]


class HarnessModel:
    """One model behind the harness's interface: texts in, log-likelihoods or texts out.

    `begin_id` stands before a text without a context, as the harness asks for.
    """

    def __init__(
        self,
        model: CausalModel,
        encode: Encode,
        decode: Decode,
        *,
        begin_id: int,
        pad_id: int,
        stop_ids: Sequence[int],
        batch_size: int,
        between: Callable[[], None],
    ) -> None:
        self._model = model
        self._encode = encode
        self._decode = decode
        self._begin_id = begin_id
        self._pad_id = pad_id
        self._stop_ids = list(stop_ids)
        self._rows = batch_size
        self._between = between

    def loglikelihood(self, requests: Sequence[Request]) -> list[tuple[float, bool]]:
        """(log-probability of the continuation, whether it is the greedy one) for each (context, continuation).

        White space at the end of a context belongs to the continuation: so the words are cut where a text would be.
        """
        texts = [self._pair(*_texts(request)) for request in requests]
        return [(-nats, greedy) for nats, greedy in self._likelihoods(texts)]

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> list[float]:
        """Log-probability of each whole text: every token once, each with as much before it as the context holds."""
        windows = [list(self._windows(_text(request))) for request in requests]
        found = iter(self._likelihoods([window for parts in windows for window in parts]))
        return [-sum(next(found)[0] for _ in parts) for parts in windows]

    def generate_until(self, requests: Sequence[Request]) -> list[str]:
        """Greedy continuation of each context, cut before the first of the request's stop texts.

        RecipeError(CONFIG_INVALID) for a request that wants to sample.
        """
        asked = [_generation(request) for request in requests]
        order = sorted(range(len(asked)), key=lambda place: len(asked[place][0]))
        found: dict[int, str] = {}
        for start in range(0, len(order), self._rows):
            places = order[start : start + self._rows]
            found.update(zip(places, self._generated([asked[place] for place in places]), strict=True))
        return [found[place] for place in range(len(asked))]

    @property
    def calls(self) -> dict[str, Call]:
        """The three kinds of requests, by the harness's names."""
        return {
            "loglikelihood": self.loglikelihood,
            "loglikelihood_rolling": self.loglikelihood_rolling,
            "generate_until": self.generate_until,
        }

    def _pair(self, context: str, after: str) -> Continuation:
        kept = context.rstrip()
        after = context[len(kept) :] + after
        length = self._model.facts.context
        return continuation(self._encode, kept, after, begin_id=self._begin_id, context=length)

    def _windows(self, text: str) -> Iterator[Continuation]:
        ids = [self._begin_id, *self._encode(text)]
        length = self._model.facts.context
        # Of a window of `length` tokens and the one it predicts last, all but the first can be predicted.
        for start in range(1, len(ids), length):
            end = min(start + length, len(ids))
            begin = max(0, end - length - 1)
            yield Continuation(tuple(ids[begin:end]), start - begin)

    def _likelihoods(self, texts: Sequence[Continuation]) -> list[tuple[float, bool]]:
        found = likelihoods(self._model, texts, batch_size=self._rows, pad_id=self._pad_id, between=self._between)
        return [(each.nats, each.is_greedy) for each in found]

    def _generated(self, asked: Sequence[tuple[str, list[str], int]]) -> list[str]:
        """The contexts of one batch continued, as long as the longest wish; each is then cut to its own."""
        room = self._model.facts.context
        most = max(1, min(max(wish for _, _, wish in asked), room - 1))
        prompts = [(self._encode(context) or [self._begin_id])[-(room - most) :] for context, _, _ in asked]
        written = self._model.generate_greedy(
            prompts, max_new_tokens=most, stop_ids=self._stop_ids, pad_id=self._pad_id, between=self._between
        )
        return [self._cut(ids, until, wish) for ids, (_, until, wish) in zip(written, asked, strict=True)]

    def _cut(self, ids: list[int], until: list[str], most: int) -> str:
        text = self._decode([token for token in ids[:most] if token not in self._stop_ids])
        places = [place for stop in until if stop and (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text


def _texts(request: Request) -> tuple[str, str]:
    return str(request.args[0]), str(request.args[1])


def _text(request: Request) -> str:
    return str(request.args[0])


def _generation(request: Request) -> tuple[str, list[str], int]:
    settings = request.args[1]
    options = settings if isinstance(settings, dict) else {}
    if options.get("do_sample"):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "a task of evaluate.tuned.harness samples its answers; here all answers are greedy, so that they compare",
            "leave that task out",
        )
    until = options.get("until", [])
    stops = [until] if isinstance(until, str) else [str(stop) for stop in until]
    most = options.get("max_gen_toks", DEFAULT_NEW_TOKENS)
    return str(request.args[0]), stops, int(most)
