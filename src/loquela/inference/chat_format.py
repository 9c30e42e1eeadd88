"""How a conversation is written down for a model: what every such format can do, and the plain one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loquela.inference.chat_contracts import ChatMessage
from loquela.tokenizers.contract import TokenizerHandle


class ChatFormat(Protocol):
    """Conversations → the tokens after which the assistant writes; and how to tell that it has ended its turn."""

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end the assistant's turn, besides the end-of-text token."""

    @property
    def stops(self) -> list[str]:
        """Texts that end the assistant's turn where they are no token of their own."""

    @property
    def note(self) -> str:
        """What the user should know about this format; empty: nothing."""

    def prompt(self, messages: Sequence[ChatMessage]) -> tuple[list[int], list[str]]:
        """The tokens, and what was changed in the messages, in words."""

    def close(self) -> None:
        """Give back what the format holds."""


class PlainFormat:
    """`User:` and `Assistant:` in front of the turns: for models that come without a chat template."""

    ends: frozenset[int] = frozenset()
    note = (
        "the model has no chat template: turns are written as 'User: …' and 'Assistant: …'; "
        "a model that was not trained on conversations goes on with text rather than answer"
    )

    def __init__(self, tokenizer: TokenizerHandle) -> None:
        self._tokenizer = tokenizer
        self.stops = ["\nUser:"]

    def prompt(self, messages: Sequence[ChatMessage]) -> tuple[list[int], list[str]]:
        """The conversation as lines."""
        names = {"user": "User: ", "assistant": "Assistant: ", "system": ""}
        lines = [names[message.role] + message.content for message in messages]
        return self._tokenizer.encode("\n".join([*lines, "Assistant:"])), []

    def close(self) -> None:
        """There is nothing to give back."""
