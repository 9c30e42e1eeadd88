"""What the base and its adapter say to a few questions that the adapter was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loquela.core.model import BoundaryModel

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.inference.chat import Chat

ASKED = 5


class Asked(BoundaryModel):
    """One question, the answer of the document, and what each model says."""

    question: str
    expected: str
    base: str
    adapter: str


def ask_both(examples: Path, base: Path, adapter: Path, count: int = ASKED) -> list[Asked]:
    """`count` training questions of `examples`, spread over the document, answered greedily by both models."""
    from loquela.inference.open_chat import open_chat

    pairs = _training_pairs(examples)
    chosen = pairs[:: max(1, len(pairs) // count)][:count]
    answers: list[list[str]] = []
    for folder in (base, adapter):
        with open_chat(folder) as chat:
            answers.append([_answer(chat, question) for question, _ in chosen])
    return [
        Asked(question=question, expected=expected, base=one, adapter=other)
        for (question, expected), one, other in zip(chosen, *answers, strict=True)
    ]


def _training_pairs(examples: Path) -> list[tuple[str, str]]:
    from loquela.artifacts.examples import read_examples

    return [(each.messages[-2].content, each.messages[-1].content) for each in read_examples(examples, split="train")]


def _answer(chat: Chat, question: str) -> str:
    from loquela.inference.chat_contracts import ChatRequest
    from loquela.inference.contracts import checked_request

    asked: dict[str, JsonValue] = {
        "messages": [{"role": "user", "content": question}],
        "temperature": 0.0,
        "max_new_tokens": 32,
    }
    return " ".join(chat.answer(checked_request(ChatRequest, asked)).text.split())
