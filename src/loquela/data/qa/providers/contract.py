"""What every provider is given and gives back, and the ways in which it can fail.

A provider only speaks: whether a request may be paid for, is repeated, or was answered before is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import JsonValue

from loquela.core.digests import digest_json
from loquela.data.qa.plan import Cell

FailureKind = Literal["auth", "refused_request", "rate_limited", "server", "timeout", "connection", "unreadable"]
StopReason = Literal["end", "length", "refusal"]

# After these the same request may succeed.
TRANSIENT: tuple[FailureKind, ...] = ("rate_limited", "server", "timeout", "connection", "unreadable")
# After these the provider may have worked, and charged, without its answer reaching us.
MAYBE_BILLED: tuple[FailureKind, ...] = ("timeout", "connection", "unreadable")


@dataclass(frozen=True)
class Turn:
    """One message of a request."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True)
class Material:
    """The parts a request was put together from, for a provider that works by rules."""

    text: str
    language: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Request:
    """One call. `answer_schema` is the JSON Schema of the answer; `chunk` and `purpose` are for the records."""

    purpose: Literal["pairs", "repair", "judge", "rewrite"]
    chunk: str
    chunk_digest: str
    prompt_version: str
    endpoint: str
    model: str
    system: str
    turns: tuple[Turn, ...]
    answer_schema: dict[str, JsonValue]
    max_output_tokens: int
    temperature: float | None = None
    material: Material | None = None

    @property
    def key(self) -> str:
        """SHA-256 over all that decides the answer; two requests with one key are one request."""
        return digest_json(
            {
                "endpoint": self.endpoint,
                "model": self.model,
                "prompt_version": self.prompt_version,
                "chunk_digest": self.chunk_digest,
                "system": self.system,
                "turns": [[turn.role, turn.text] for turn in self.turns],
                "answer_schema": self.answer_schema,
                "max_output_tokens": self.max_output_tokens,
                "temperature": self.temperature,
                "cells": [list(cell) for cell in self.material.cells] if self.material else [],
            }
        )

    @property
    def prompt_bytes(self) -> int:
        """UTF-8 bytes of everything that is read by the model."""
        texts = [self.system, *(turn.text for turn in self.turns), str(self.answer_schema)]
        return sum(len(text.encode("utf-8")) for text in texts)


@dataclass(frozen=True)
class Usage:
    """Tokens as the provider counted them; `input_tokens` without those of its cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0


@dataclass(frozen=True)
class Completion:
    """An answer. `stop` tells whether it ended by itself, at the token limit, or was refused.

    `usage` is None from a server that does not count.
    """

    text: str
    stop: StopReason
    usage: Usage | None


class ProviderFailure(Exception):
    """A call without an answer; `message` is what the provider said, free of credentials."""

    def __init__(self, kind: FailureKind, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class Provider(Protocol):
    """A way to get requests answered; `complete` is called from several threads at once."""

    name: str
    endpoint: str

    def complete(self, request: Request) -> Completion:
        """The answer to one request; ProviderFailure without one."""

    def close(self) -> None:
        """Let connections go."""


@dataclass(frozen=True)
class BatchProgress:
    """Where a batch stands: `ended` when its results can be read."""

    ended: bool
    done: int = 0


@dataclass(frozen=True)
class BatchResult:
    """What became of one request of a batch: an answer, or a failure; `key` is that of the request."""

    key: str
    completion: Completion | None = None
    failure: ProviderFailure | None = field(default=None, compare=False)


class BatchProvider(Provider, Protocol):
    """A provider that also takes many requests at once and answers them later, cheaper."""

    def submit(self, requests: Sequence[Request]) -> str:
        """Hand in a batch; its id. ProviderFailure when it was not taken."""

    def progress(self, batch_id: str) -> BatchProgress:
        """Where the batch stands; ProviderFailure when that cannot be told."""

    def results(self, batch_id: str) -> Sequence[BatchResult]:
        """What became of each request of an ended batch; ProviderFailure when they cannot be read whole."""
