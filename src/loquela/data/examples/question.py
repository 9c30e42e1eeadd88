"""The question of an example: what is reworded, and by what two examples are told to be about the same."""

from __future__ import annotations

from loquela.artifacts.examples import Example, Message


def instruction_of(example: Example) -> str | None:
    """The instruction of the first question, its input left out; None for plain text."""
    if example.kind == "prompt_completion":
        return example.prompt
    first = _first_question(example)
    return None if first is None else example.messages[first].instruction


def with_instruction(example: Example, instruction: str) -> Example:
    """The same example with its first question put otherwise; input and answers stay."""
    if example.kind == "prompt_completion":
        return example.model_copy(update={"prompt": instruction})
    first = _first_question(example)
    if first is None:
        return example
    messages = list(example.messages)
    messages[first] = _reworded(messages[first], instruction)
    return example.model_copy(update={"messages": messages})


def _first_question(example: Example) -> int | None:
    return next((index for index, message in enumerate(example.messages) if message.role == "user"), None)


def _reworded(message: Message, instruction: str) -> Message:
    if message.input_start is None:
        return message.model_copy(update={"content": instruction})
    gap = message.content[len(message.instruction) : message.input_start]
    head = instruction + gap
    return message.model_copy(update={"content": head + message.input, "input_start": len(head)})
