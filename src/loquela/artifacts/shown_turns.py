"""Which turns a sequence of token rows shows, and how chat templates know a turn."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from loquela.artifacts.examples import Example, Message
from loquela.artifacts.token_rows import SequenceRecord


def shown_turns(example: Example, record: SequenceRecord) -> list[Message]:
    """The turns of `example` that the sequence shows, none for plain text; their `trained` is as the rows say."""
    match example.kind:
        case "text":
            return []
        case "prompt_completion":
            asked = Message(role="user", content=example.prompt or "")
            return [asked, Message(role="assistant", content=example.completion or "")]
        case "feedback":
            return [*_context(example.messages[:-1]), example.messages[-1]]
        case "preference":
            return [*_context(example.messages), *(example.chosen if record.part == "chosen" else example.rejected)]
        case "messages":
            if record.turns is None:
                return example.messages
            system = [message for message in example.messages[:1] if message.role == "system"]
            return [*system, *example.messages[slice(*record.turns)]]


def _context(messages: Sequence[Message]) -> list[Message]:
    return [message.model_copy(update={"trained": False}) for message in messages]


def chat_message(message: Message) -> dict[str, JsonValue]:
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
