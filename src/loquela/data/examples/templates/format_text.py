"""Plain templates: text with {prompt} and {completion}; no attribute, index, call or format can be written in them."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.core.near_names import unknown_name
from loquela.data.examples.faults import RowFault
from loquela.data.examples.templates.contract import loss_weight
from loquela.data.examples.templates.rendered import Piece, Rendered, rendered
from loquela.security.template_process import LONGEST_TEMPLATE, wrong_template

FIELDS = ("system", "prompt", "instruction", "input", "completion")


class FormatTemplate:
    """A template of plain text; {completion} is learnt, with the end of text behind it when nothing follows it."""

    name = "custom"
    controls: tuple[str, ...] = ()

    def __init__(self, source: str, origin: str = "the template") -> None:
        self.source = source
        self._parts = list(_parse(source, origin))

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue], rest: float = 0.0) -> Rendered:
        """The one question and answer in their places; RowFault for any other conversation."""
        turns = list(messages)
        system = turns.pop(0).content if turns and turns[0].role == "system" else ""
        if tools or [turn.role for turn in turns] != ["user", "assistant"] or turns[1].tool_calls:
            raise RowFault("a plain template shows one question and one answer", "use Jinja, chatml or alpaca")
        question, answer = turns
        if system and not any(name == "system" for _, name in self._parts):
            raise RowFault("the template has no place for the system prompt", "write {system} into it")
        texts = {
            "system": system,
            "prompt": question.content,
            "instruction": question.instruction,
            "input": question.input,
        }
        return rendered(self._pieces(texts, answer, rest))

    def _pieces(self, texts: dict[str, str], answer: Message, rest: float) -> Iterator[Piece]:
        weight = loss_weight(answer, rest)
        for literal, name in self._parts:
            yield Piece(literal, rest)
            if name == "completion":
                yield Piece(answer.content, weight)
            elif name is not None:
                yield Piece(texts[name], rest)
        yield Piece("", weight, "end")


def _parse(source: str, origin: str) -> Iterator[tuple[str, str | None]]:
    """Literal text and the field behind it; RecipeError(CONFIG_INVALID) for all that is not a plain field."""
    if len(source) > LONGEST_TEMPLATE:
        raise wrong_template(origin, f"it has more than {LONGEST_TEMPLATE} characters", "shorten it")
    try:
        parts = list(string.Formatter().parse(source))
    except ValueError as error:
        raise wrong_template(origin, str(error), "write {{ and }} for braces that are text") from error
    names = [name for _, name, _, _ in parts if name is not None]
    for _, name, form, conversion in parts:
        if name is not None and (name not in FIELDS or form or conversion):
            raise wrong_template(
                origin,
                unknown_name("field", name + (f":{form}" if form else ""), FIELDS),
                "write the bare name in braces",
            )
    if names.count("completion") != 1:
        raise wrong_template(origin, f"{{completion}} stands in it {names.count('completion')} times", "write it once")
    if "prompt" not in names and "instruction" not in names:
        raise wrong_template(origin, "the question has no place in it", "write {prompt}, or {instruction} and {input}")
    if "instruction" in names and "input" not in names:
        raise wrong_template(
            origin, "it has {instruction} but no place for {input}", "write {input}, or {prompt} for both"
        )
    for literal, name, _, _ in parts:
        yield literal, name
