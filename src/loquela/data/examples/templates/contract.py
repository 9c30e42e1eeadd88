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

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue]) -> Rendered:
        """The conversation as text; RowFault for one that the template has no place for."""


def loss_weight(message: Message) -> float:
    """The weight that a turn is learnt with; 0 for one that is not."""
    if not message.learnt:
        return 0.0
    return 1.0 if message.weight is None else message.weight
