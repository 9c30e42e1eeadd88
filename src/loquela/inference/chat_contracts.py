"""What is asked of a chat, and what it answers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel
from loquela.inference.contracts import GenerateRequest, StopSequence


class ChatMessage(BoundaryModel):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BoundaryModel):
    """A conversation whose next turn is the assistant's, and how to draw it."""

    messages: list[ChatMessage] = Field(min_length=1, description="the conversation so far; the last turn is a user's")
    max_new_tokens: int = Field(256, ge=1, le=512, description="tokens of the answer at most, 1–512")
    temperature: float = Field(0.8, ge=0, le=100, description="0 is greedy; 1 samples as the model believes")
    top_k: int | None = Field(None, ge=1, description="sample from the k likeliest tokens only; null: from all")
    top_p: float | None = Field(
        None, gt=0, le=1, description="sample from the likeliest tokens that reach this mass; null: from all"
    )
    stop_sequences: list[StopSequence] = Field(
        default_factory=list, max_length=15, description="end the answer before the first of these texts"
    )
    seed: int = Field(1337, ge=0, lt=2**31, description="the same conversation and seed give the same answer")

    @model_validator(mode="after")
    def _users_turn_last(self) -> Self:
        if self.messages[-1].role != "user":
            raise ValueError(f"the last message is the {self.messages[-1].role}'s: it must be the user's")
        if any(message.role == "system" for message in self.messages[1:]):
            raise ValueError("only the first message may be the system's")
        return self

    def drawing(self, stops: list[str]) -> GenerateRequest:
        """The same limits for one sequence that also ends before one of `stops`."""
        return GenerateRequest(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            stop_sequences=[*self.stop_sequences, *stops],
            seed=self.seed,
        )


class ChatResult(BoundaryModel):
    """One answer. `finished` says why it ended: the model ended its turn, a stop sequence, or `max_new_tokens`.

    `messages_left_out` counts the oldest turns that no longer fitted into the context window; `notes` says so too.
    """

    text: str
    steps: int
    finished: Literal["end", "stop", "length"]
    messages_left_out: int = 0
    prompt_tokens: int = Field(0, description="of the conversation, as the model was given it")
    notes: list[str] = Field(default_factory=list)
