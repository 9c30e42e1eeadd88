"""An example of any kind → what the model sees of it, by a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loquela.artifacts.examples import Example, Message
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.rendered import Piece, Rendered

Part = Literal["", "chosen", "rejected"]


@dataclass(frozen=True)
class RenderedPart:
    """One text of an example; preferences have two."""

    part: Part
    rendered: Rendered


def render_example(example: Example, template: Template) -> list[RenderedPart]:
    """The texts of an example; RowFault where the template has no place for it.

    Of a preference only the two answers are learnt, of feedback only the answer that was judged. Plain text goes
    through no template.
    """
    match example.kind:
        case "text":
            text = Piece(example.text or "", 1.0)
            return [RenderedPart("", Rendered((text, Piece("", 1.0, "end"))))]
        case "prompt_completion":
            asked = Message(role="user", content=example.prompt or "")
            turns = [asked, Message(role="assistant", content=example.completion or "")]
            return [RenderedPart("", template.render(turns, example.tools))]
        case "messages":
            return [RenderedPart("", template.render(example.messages, example.tools))]
        case "feedback":
            turns = [*untrained(example.messages[:-1]), example.messages[-1]]
            return [RenderedPart("", template.render(turns, example.tools))]
        case "preference":
            before = untrained(example.messages)
            return [
                RenderedPart("chosen", template.render([*before, *example.chosen], example.tools)),
                RenderedPart("rejected", template.render([*before, *example.rejected], example.tools)),
            ]


def untrained(messages: Sequence[Message]) -> list[Message]:
    """The same turns, none of them learnt."""
    return [message.model_copy(update={"trained": False}) for message in messages]
