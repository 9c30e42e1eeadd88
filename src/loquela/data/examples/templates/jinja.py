"""Templates in Jinja, rendered in a process of their own with limits on size, memory and time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.artifacts.shown_turns import chat_message
from loquela.data.examples.templates.contract import loss_weight
from loquela.data.examples.templates.rendered import Piece, Rendered, rendered
from loquela.data.examples.templates.shown import check_shown
from loquela.security.jinja_process import marked_parts
from loquela.security.template_process import RENDER_SECONDS, TemplateProcess, wrong_template

_TAG = re.compile(r"{%-?\s*generation\s*-?%}")


@dataclass(frozen=True)
class ModelNames:
    """What a base model brings into its template: texts of special tokens by name, and the day it takes for today."""

    special_tokens: dict[str, str]
    controls: tuple[str, ...]
    date: str | None


class JinjaTemplate:
    """A Jinja chat template as transformers has them, with `messages`, `tools` and `add_generation_prompt`.

    What the assistant writes is what stands in {% generation %}; a template without that tag is rendered turn by turn,
    and the difference that an answer makes is what is learnt. With `model`, the template is that of a base and is
    rendered as transformers renders it. Close it, or use it as a context manager: it holds a process.
    """

    def __init__(
        self,
        source: str,
        origin: str = "the template",
        *,
        name: str = "custom",
        model: ModelNames | None = None,
        render_seconds: float = RENDER_SECONDS,
    ) -> None:
        """RecipeError(CONFIG_INVALID) with the line for what is not Jinja, or is too long."""
        self.name = name
        self.source = source
        self.origin = origin
        self.controls = model.controls if model else ()
        self.date = model.date if model else None
        self._has_tag = _TAG.search(source) is not None
        self._checked = model is not None
        self._names: dict[str, JsonValue] = {**model.special_tokens} if model else {}
        self._process = TemplateProcess(
            source,
            origin,
            render_seconds=render_seconds,
            lenient=model is not None,
            date=self.date,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue], rest: float = 0.0) -> Rendered:
        """The conversation as text; RecipeError for a template that fails, does not end, or hides its answers."""
        turned = [place for place, message in enumerate(messages) if loss_weight(message, rest) != rest]
        by_tag = self._has_tag and all(messages[place].role == "assistant" for place in turned)
        wanted = [] if by_tag else [stretch for place in turned for stretch in _around(messages, place)]
        shown, *parts = self._shown([(len(messages), False), *wanted], messages, tools)
        whole = _unmarked(shown)
        if self._checked:
            check_shown(self.source, whole, messages, tools)
        if by_tag:
            return self._by_tag(shown, messages, rest)
        texts = [_unmarked(part) for part in parts]
        return rendered(self._by_turn(whole, list(zip(turned, texts[::2], texts[1::2], strict=True)), messages, rest))

    def _by_tag(self, shown: str, messages: Sequence[Message], rest: float) -> Rendered:
        parts = marked_parts(shown)
        weights = [loss_weight(message, rest) for message in messages if message.role == "assistant"]
        if len(weights) != sum(learnt for _, learnt in parts):
            raise wrong_template(
                self.origin,
                f"it has {sum(learnt for _, learnt in parts)} generation blocks for {len(weights)} answers",
                "put every answer of the assistant between {% generation %} and {% endgeneration %}",
            )
        left = iter(weights)
        return rendered(Piece(text, next(left) if learnt else rest) for text, learnt in parts)

    def _by_turn(
        self, whole: str, turns: Sequence[tuple[int, str, str]], messages: Sequence[Message], rest: float
    ) -> Iterator[Piece]:
        """A turn is what stands behind the text up to it, an answer's with its opening, and before what follows it.

        `turns` are (place, text up to the turn, text with it).
        """
        done = 0
        for place, before, after in turns:
            if not (whole.startswith(after) and after.startswith(before) and len(before) >= done):
                raise wrong_template(
                    self.origin,
                    "what it writes for an answer cannot be told from the rest: it writes other text before or in an "
                    "answer when the conversation goes on",
                    "put the assistant's text between {% generation %} and {% endgeneration %}, or learn only the last "
                    "answer of a conversation: examples.learn: completion",
                )
            learnt = whole[len(before) : len(after)]
            space = learnt[len(learnt.rstrip()) :]
            if space and not messages[place].content.endswith(space):
                # White space between two turns is the frame's, not the answer's.
                learnt = learnt.removesuffix(space)
            yield Piece(whole[done : len(before)], rest)
            yield Piece(learnt, loss_weight(messages[place], rest))
            done = len(before) + len(learnt)
        yield Piece(whole[done:], rest)

    def _shown(
        self, wanted: Sequence[tuple[int, bool]], messages: Sequence[Message], tools: Sequence[JsonValue]
    ) -> list[str]:
        """The first so many messages each, with the assistant's turn begun or not; an empty text for none."""
        turns: list[JsonValue] = [chat_message(message) for message in messages]
        asked = [(turns[:length], opened) for length, opened in wanted if length]
        texts = iter(self._process.render_all(asked, tools, names=self._names))
        return [next(texts) if length else "" for length, _ in wanted]


def _around(messages: Sequence[Message], place: int) -> tuple[tuple[int, bool], tuple[int, bool]]:
    """What is rendered to tell a turn from the rest: up to it (begun, if it is an answer), and with it."""
    return (place, messages[place].role == "assistant" and place > 0), (place + 1, False)


def _unmarked(shown: str) -> str:
    return "".join(part for part, _ in marked_parts(shown))
