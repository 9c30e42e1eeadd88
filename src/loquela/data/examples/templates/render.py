"""An example of any kind → what the model sees of it, by a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loquela.artifacts.examples import Example, Message
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.rendered import Piece, Rendered
from loquela.recipe.examples_section import Learn

Part = Literal["", "chosen", "rejected"]


@dataclass(frozen=True)
class RenderedPart:
    """One text of an example; preferences have two."""

    part: Part
    rendered: Rendered


def render_example(example: Example, template: Template, learn: Learn = "assistant") -> list[RenderedPart]:
    """The texts of an example; RowFault where the template has no place for it.

    `learn`: every answer of a conversation, the last one (completion), or all of its text. Of a preference only the two
    answers are learnt, of feedback only the answer that was judged. Plain text goes through no template.
    """
    rest = rest_of(learn)
    match example.kind:
        case "text":
            text = Piece(example.text or "", 1.0)
            return [RenderedPart("", Rendered((text, Piece("", 1.0, "end"))))]
        case "prompt_completion":
            asked = Message(role="user", content=example.prompt or "")
            turns = [asked, Message(role="assistant", content=example.completion or "")]
            return [RenderedPart("", template.render(turns, example.tools, rest))]
        case "messages":
            turns = learnt_turns(example.messages, learn)
            return [RenderedPart("", template.render(turns, example.tools, rest))]
        case "feedback":
            turns = [*untrained(example.messages[:-1]), example.messages[-1]]
            return [RenderedPart("", template.render(turns, example.tools))]
        case "preference":
            before = untrained(example.messages)
            return [
                RenderedPart("chosen", template.render([*before, *example.chosen], example.tools)),
                RenderedPart("rejected", template.render([*before, *example.rejected], example.tools)),
            ]


def rest_of(learn: Learn) -> float:
    """The weight of what is not an answer."""
    return 1.0 if learn == "all" else 0.0


def learnt_turns(messages: Sequence[Message], learn: Learn) -> list[Message]:
    """The turns, each with what `learn` leaves of its learning."""
    return [*untrained(messages[:-1]), messages[-1]] if learn == "completion" else list(messages)


def untrained(messages: Sequence[Message]) -> list[Message]:
    """The same turns, none of them learnt."""
    return [message.model_copy(update={"trained": False}) for message in messages]
