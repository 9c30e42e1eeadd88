"""Models of a service, with the faces of those that are opened here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from loquela.inference.chat_contracts import ChatRequest, ChatResult
from loquela.inference.contracts import GenerateRequest, GenerateResult, ScoreRequest, ScoreResult

if TYPE_CHECKING:
    from loquela.client.answers import ChatTurn
    from loquela.client.client import Client


class RemoteModel:
    """The model of one run of a service."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client = client
        self._run_id = run_id

    def generate(self, request: GenerateRequest) -> GenerateResult:
        """As `Engine.generate`; a prompt file is read here."""
        asked = request.model_dump(mode="json", exclude_unset=True, exclude={"prompt_path"})
        if request.prompt_path is not None:
            asked["prompt_text"] = _text(request.prompt_path)
        told = self._client.generate(self._run_id, asked)
        return GenerateResult.model_validate(told.model_dump(include=set(GenerateResult.model_fields)))

    def stream(self, request: GenerateRequest, notes: list[str]) -> Iterator[str]:
        """As `Engine.stream`, in one piece."""
        result = self.generate(request)
        notes += result.notes
        yield from result.outputs

    def score(self, request: ScoreRequest) -> ScoreResult:
        """As `Engine.score`; a file is read here."""
        asked = request.model_dump(mode="json", exclude_unset=True, exclude={"path"})
        if request.path is not None:
            asked["text"] = _text(request.path)
        told = self._client.score(self._run_id, asked)
        return ScoreResult.model_validate(told.model_dump(include=set(ScoreResult.model_fields)))


class RemoteChat:
    """Conversations with the model of one run of a service."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client = client
        self._run_id = run_id

    def stream(self, request: ChatRequest, results: list[ChatResult]) -> Iterator[str]:
        """As `Chat.stream`."""
        turns: list[ChatTurn] = []
        yield from self._client.chat_stream(self._run_id, request.model_dump(mode="json"), turns)
        results += [ChatResult.model_validate(turn.model_dump()) for turn in turns]


def _text(path: Path) -> str:
    from loquela.inference.engine import text_of

    return text_of(None, path)
