"""Custom templates in Jinja, rendered in a process of their own with limits on size, memory and time."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.data.examples.templates.contract import loss_weight
from loquela.data.examples.templates.rendered import Piece, Rendered, rendered
from loquela.security.jinja_process import marked_parts
from loquela.security.template_process import RENDER_SECONDS, TemplateProcess, wrong_template


class JinjaTemplate:
    """A Jinja chat template as transformers has them, with `messages`, `tools` and `add_generation_prompt`.

    What the assistant writes is what stands in {% generation %}; a template without that tag is rendered turn by turn,
    and the difference that an answer makes is what is learnt. Close it, or use it as a context manager: it holds a
    process.
    """

    name = "custom"
    controls: tuple[str, ...] = ()

    def __init__(self, source: str, origin: str = "the template", *, render_seconds: float = RENDER_SECONDS) -> None:
        """RecipeError(CONFIG_INVALID) with the line for what is not Jinja, or is too long."""
        self.source = source
        self.origin = origin
        self._has_tag = "generation" in source and "endgeneration" in source
        self._process = TemplateProcess(source, origin, render_seconds=render_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue]) -> Rendered:
        """The conversation as text; RecipeError for a template that fails, does not end, or hides its answers."""
        if self._has_tag:
            return self._by_tag(messages, tools)
        return self._by_turn(messages, tools)

    def _by_tag(self, messages: Sequence[Message], tools: Sequence[JsonValue]) -> Rendered:
        parts = marked_parts(self._text(messages, tools))
        weights = [loss_weight(message) for message in messages if message.role == "assistant"]
        if len(weights) != sum(learnt for _, learnt in parts):
            raise wrong_template(
                self.origin,
                f"it has {sum(learnt for _, learnt in parts)} generation blocks for {len(weights)} answers",
                "put every answer of the assistant between {% generation %} and {% endgeneration %}",
            )
        left = iter(weights)
        return rendered(Piece(text, next(left) if learnt else 0.0) for text, learnt in parts)

    def _by_turn(self, messages: Sequence[Message], tools: Sequence[JsonValue]) -> Rendered:
        """An answer is what stands behind the text up to it with its opening, and before what follows it."""
        pieces: list[Piece] = []
        done, whole = 0, self._text(messages, tools)
        for index, message in enumerate(messages):
            if message.role != "assistant" or not message.learnt:
                continue
            before = self._text(messages[:index], tools, opened=True)
            after = self._text(messages[: index + 1], tools)
            if not (whole.startswith(after) and after.startswith(before) and len(before) >= done):
                raise wrong_template(
                    self.origin,
                    "what it writes for an answer cannot be told from the rest",
                    "put the assistant's text between {% generation %} and {% endgeneration %}",
                )
            learnt = whole[len(before) : len(after)]
            space = learnt[len(learnt.rstrip()) :]
            if space and not message.content.endswith(space):
                # White space between two turns is the frame's, not the answer's.
                learnt = learnt.removesuffix(space)
            pieces += [Piece(whole[done : len(before)]), Piece(learnt, loss_weight(message))]
            done = len(before) + len(learnt)
        return rendered([*pieces, Piece(whole[done:])])

    def _text(self, messages: Sequence[Message], tools: Sequence[JsonValue], *, opened: bool = False) -> str:
        return self._process.render([as_chat_message(message) for message in messages], tools, opened=opened)


def as_chat_message(message: Message) -> dict[str, JsonValue]:
    """A message as chat templates know them: keys only where there is something to say."""
    made: dict[str, JsonValue] = {"role": message.role, "content": message.content}
    if message.name is not None:
        made["name"] = message.name
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return made
