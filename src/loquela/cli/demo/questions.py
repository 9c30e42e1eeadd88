"""What the base and its adapter say to the questions of the demo, those that were trained and those held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loquela.core.model import BoundaryModel

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.inference.chat import Chat

SHOWN: dict[str, int] = {"train": 5, "validation": 2}
# The longest answer that a rule takes from a passage is a sentence.
LONGEST_ANSWER_TOKENS = 96


class Asked(BoundaryModel):
    """One question, the answer of the document, and what each model says."""

    split: str
    question: str
    expected: str
    base: str
    adapter: str


def ask_both(examples: Path, base: Path, adapter: Path) -> list[Asked]:
    """All questions of `examples`, answered greedily by both models."""
    from loquela.artifacts.examples import read_examples
    from loquela.inference.open_chat import open_chat

    rows = list(read_examples(examples))
    answers: list[list[str]] = []
    for folder in (base, adapter):
        with open_chat(folder) as chat:
            answers.append([_answer(chat, row.messages[-2].content) for row in rows])
    return [
        Asked(
            split=row.split,
            question=row.messages[-2].content,
            expected=" ".join(row.messages[-1].content.split()),
            base=one,
            adapter=other,
        )
        for row, one, other in zip(rows, *answers, strict=True)
    ]


def shown(asked: list[Asked]) -> list[Asked]:
    """A few of each split, spread over the document."""
    found = []
    for split, count in SHOWN.items():
        of_split = [each for each in asked if each.split == split]
        found += of_split[:: max(1, len(of_split) // count)][:count]
    return found


def counted(asked: list[Asked], split: str) -> tuple[int, int, int]:
    """Questions of a split, and how many of them the base and the adapter answer word for word."""
    of_split = [each for each in asked if each.split == split]
    return (
        len(of_split),
        sum(each.base == each.expected for each in of_split),
        sum(each.adapter == each.expected for each in of_split),
    )


def _answer(chat: Chat, question: str) -> str:
    from loquela.inference.chat_contracts import ChatRequest
    from loquela.inference.contracts import checked_request

    asked: dict[str, JsonValue] = {
        "messages": [{"role": "user", "content": question}],
        "temperature": 0.0,
        "max_new_tokens": LONGEST_ANSWER_TOKENS,
    }
    return " ".join(chat.answer(checked_request(ChatRequest, asked)).text.split())
