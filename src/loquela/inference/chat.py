"""Conversations with a model: the template, what fits into the window, and the answer as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from loquela.artifacts.normalization import normalize_text
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.chat_contracts import ChatMessage, ChatRequest, ChatResult
from loquela.inference.chat_format import ChatFormat
from loquela.inference.engine import Engine, Outcome


class Chat:
    """An engine and a format of conversations. Keeps no history: every request holds the whole conversation.

    A conversation that leaves too little room for an answer loses its oldest turns, a user's with the answers to it,
    but never the system's nor the newest; `ChatResult` says how many. Room is `max_new_tokens`, but no more than half
    the context window. Close it, or use it as a context manager: it holds the model and the template's process.
    """

    def __init__(self, engine: Engine, form: ChatFormat) -> None:
        self.engine = engine
        self.form = form

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the template's process and give the model back."""
        self.form.close()
        self.engine.close()

    def answer(self, request: ChatRequest) -> ChatResult:
        """The whole answer.

        Raises DataError(SEQUENCE_TOO_LONG) when the newest message alone is too long, RecipeError for a template that
        has no place for such a conversation, else as `Engine.generate`.
        """
        results: list[ChatResult] = []
        for _ in self.stream(request, results):
            pass
        return results[0]

    def stream(self, request: ChatRequest, results: list[ChatResult]) -> Iterator[str]:
        """The answer in pieces; when it has ended, what `answer` gives is appended to `results`. Errors as there.

        Closed early, the stream has still told everything that it gave; no result is appended then.
        """
        messages, notes = self._normalized(request.messages)
        prompt, left_out, changed = self._fitted(messages, request.max_new_tokens)
        if left_out:
            notes.append(f"the context window is full: the {left_out} oldest messages were left out")
        drawing = request.drawing(self.form.stops)
        outcome = Outcome()
        pieces: list[str] = []
        for piece in self.engine.write(drawing, prompt, request.seed, outcome, self.form.ends):
            text = piece if pieces else piece.lstrip()
            if text:
                pieces.append(text)
                yield text
        results.append(
            ChatResult(
                text="".join(pieces),
                steps=outcome.steps,
                finished="end" if outcome.eos else "stop" if outcome.stopped else "length",
                messages_left_out=left_out,
                prompt_tokens=len(prompt),
                notes=notes + changed + self.engine.notes_on([outcome]),
            )
        )

    def _normalized(self, messages: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[str]]:
        made = [
            message.model_copy(update={"content": normalize_text(message.content, self.engine.normalization)})
            for message in messages
        ]
        changed = any(before != after for before, after in zip(messages, made, strict=True))
        return made, ["the messages were normalised as the training text was"] if changed else []

    def _fitted(self, messages: list[ChatMessage], max_new_tokens: int) -> tuple[list[int], int, list[str]]:
        """(tokens, messages left out, what was changed) of as much of the conversation as fits."""
        context = self.engine.runtime.context
        most = context - min(max_new_tokens, context // 2)
        head = messages[:1] if messages[0].role == "system" else []
        turns = messages[len(head) :]
        left_out = 0
        while True:
            prompt, changed = self.form.prompt([*head, *turns])
            if len(prompt) <= most:
                return prompt, left_out, changed
            older = _first_exchange(turns)
            if not older:
                raise DataError(
                    ErrorCode.SEQUENCE_TOO_LONG,
                    f"the message has {len(prompt)} tokens with its template; the context window of {context} tokens "
                    f"leaves it {most}, so that there is room for an answer",
                    "shorten the message, or allow fewer new tokens",
                    details={"tokens": len(prompt), "context": context},
                )
            turns = turns[older:]
            left_out += older


def _first_exchange(turns: Sequence[ChatMessage]) -> int:
    """How many of the oldest turns go together, a user's and what follows it; 0 when only the newest is left."""
    for place in range(1, len(turns)):
        if turns[place].role == "user":
            return place
    return 0
