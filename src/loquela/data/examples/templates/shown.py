"""Whether a base's template shows what a row says: transformers would leave it out without a word."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.data.examples.faults import RowFault

CALLED_FOR = "choose another template, or take it out of the rows"


def check_shown(source: str, text: str, messages: Sequence[Message], tools: Sequence[JsonValue]) -> None:
    """RowFault for tools, calls, or words of the system or a user that do not come up in `text`."""
    if tools and "tools" not in source:
        raise RowFault("the template has no place for descriptions of tools", CALLED_FOR)
    if any(message.tool_calls for message in messages) and "tool_calls" not in source:
        raise RowFault("the template has no place for calls of tools", CALLED_FOR)
    for number, message in enumerate(messages, start=1):
        if message.role in ("system", "user") and message.content.strip() not in text:
            raise RowFault(f"the template leaves out what the {message.role} says", f"turn {number}; {CALLED_FOR}")
