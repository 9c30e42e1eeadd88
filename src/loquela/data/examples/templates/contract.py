"""What a template is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.data.examples.templates.rendered import Rendered


class Template(Protocol):
    """Turns a conversation into text.

    `name` is what the recipe calls it, `source` its exact text (Jinja or a format string), `controls` the texts that
    mean something to the model and must not be spelt by what users wrote.
    """

    @property
    def name(self) -> str:
        """The recipe's name for it."""

    @property
    def source(self) -> str:
        """The template itself, to be kept with what was trained by it."""

    @property
    def controls(self) -> tuple[str, ...]:
        """Its control texts."""

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue], rest: float = 0.0) -> Rendered:
        """The conversation as text; RowFault for one that the template has no place for.

        `rest` is the weight of all that is not an answer, where nothing else is said.
        """


def loss_weight(message: Message, rest: float = 0.0) -> float:
    """The weight that a turn is learnt with, 0 for one that is not; turns that are no answers have `rest`."""
    wanted = message.role == "assistant" or rest > 0 if message.trained is None else message.trained
    if not wanted:
        return 0.0
    return 1.0 if message.weight is None else message.weight
