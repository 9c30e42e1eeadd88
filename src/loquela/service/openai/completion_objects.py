"""What completions and chat completions are answered with, in OpenAI's format."""

from __future__ import annotations

from typing import Literal

from loquela.core.model import BoundaryModel

Finish = Literal["stop", "length"]


class Usage(BoundaryModel):
    """Tokens as the model counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TextChoice(BoundaryModel):
    """One continuation."""

    index: int
    text: str
    logprobs: None = None
    finish_reason: Finish


class ChatMessage(BoundaryModel):
    """The model's turn."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BoundaryModel):
    """One next turn."""

    index: int
    message: ChatMessage
    logprobs: None = None
    finish_reason: Finish


class _Answer(BoundaryModel):
    id: str
    created: int
    model: str
    usage: Usage


class TextCompletion(_Answer):
    """Continuations of a text."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[TextChoice]


class ChatCompletion(_Answer):
    """The next turn of a conversation."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]


def usage(prompt_tokens: int, tokens: int) -> Usage:
    """Of so many tokens that were read and written."""
    return Usage(prompt_tokens=prompt_tokens, completion_tokens=tokens, total_tokens=prompt_tokens + tokens)
