"""Whether a conversation is one: who may speak after whom, and that nothing that matters is empty."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from loquela.artifacts.examples import Example, Message
from loquela.data.examples.faults import RowFault

Ending = Literal["assistant", "open"]


def check_example(example: Example) -> None:
    """RowFault for the first thing that makes an example useless or misleading to learn from."""
    match example.kind:
        case "messages":
            check_conversation(example.messages, "assistant")
            if not any(message.learnt for message in example.messages):
                raise RowFault("nothing to learn", "no turn is trained")
        case "feedback":
            check_conversation(example.messages, "assistant")
        case "preference":
            check_conversation(example.messages, "open")
            for answer, which in ((example.chosen, "chosen"), (example.rejected, "rejected")):
                check_answer(answer, which)
            if example.chosen == example.rejected:
                raise RowFault("chosen and rejected are the same")
        case "prompt_completion":
            _check_filled(example.prompt, "question")
            _check_filled(example.completion, "answer")
        case "text":
            _check_filled(example.text, "text")


def check_conversation(messages: Sequence[Message], ending: Ending) -> None:
    """RowFault unless the turns follow each other as in a conversation that ends with `ending` ("open": no answer)."""
    spoken = list(messages)
    if spoken and spoken[0].role == "system":
        if not spoken[0].content.strip():
            raise RowFault("empty system prompt")
        spoken = spoken[1:]
    offset = len(messages) - len(spoken)
    if not spoken:
        raise RowFault("no turns at all")
    if spoken[0].role != "user":
        raise RowFault(f"starts with the {spoken[0].role}")
    for number, message in enumerate(spoken, start=1 + offset):
        _check_turn(message, number)
    for number, (before, after) in enumerate(pairwise(spoken), start=2 + offset):
        _check_order(before, after, number)
    _check_end(spoken[-1], ending)


def check_answer(messages: Sequence[Message], which: str) -> None:
    """RowFault unless `messages` are an answer: the assistant's turns, with tools' between them if need be."""
    if messages[0].role != "assistant" or messages[-1].role != "assistant":
        raise RowFault(f"{which} is not the assistant's", f"it begins with the {messages[0].role}")
    for number, message in enumerate(messages, start=1):
        _check_turn(message, number)


def _check_turn(message: Message, number: int) -> None:
    if message.role == "system":
        raise RowFault("a system prompt in the middle", f"turn {number}")
    if message.tool_calls and message.role != "assistant":
        raise RowFault("a tool call by another than the assistant", f"turn {number}")
    if not message.content.strip() and not message.tool_calls and message.role != "tool":
        raise RowFault(f"empty {'answer' if message.role == 'assistant' else 'question'}", f"turn {number}")


def _check_order(before: Message, after: Message, number: int) -> None:
    calling = before.role == "assistant" and bool(before.tool_calls)
    if after.role == "tool":
        if before.role != "tool" and not calling:
            raise RowFault("a tool's answer without a call", f"turn {number}")
    elif calling:
        raise RowFault("a tool call without an answer", f"turn {number - 1}")
    elif after.role == before.role:
        raise RowFault(f"two {after.role} turns in a row", f"turns {number - 1} and {number}")
    elif before.role == "tool" and after.role != "assistant":
        raise RowFault("a tool's answer that the assistant does not take up", f"turn {number - 1}")


def _check_end(last: Message, ending: Ending) -> None:
    if ending == "assistant" and last.role != "assistant":
        raise RowFault(f"ends with the {last.role}")
    if ending == "open" and last.role == "assistant":
        raise RowFault("the prompt ends with the assistant")


def _check_filled(text: str | None, what: str) -> None:
    if not (text or "").strip():
        raise RowFault(f"empty {what}")
