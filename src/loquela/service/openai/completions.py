"""`/v1/completions` and `/v1/chat/completions`, whole and as they are written."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Generator
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response, StreamingResponse

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.core.model import BoundaryModel
from loquela.inference.contracts import GenerateResult
from loquela.service.authentication import Inferrer
from loquela.service.inference.engine_handle import Message
from loquela.service.openai.completion_objects import (
    ChatChoice,
    ChatCompletion,
    ChatMessage,
    Finish,
    TextChoice,
    TextCompletion,
    usage,
)
from loquela.service.openai.models import model_place
from loquela.service.parts import parts_of
from loquela.service.written import written

router = APIRouter(prefix="/v1", tags=["openai"])
Stop = Annotated[str, Field(min_length=1, max_length=256)]
DEFAULT_TOKENS = 256
DONE = "data: [DONE]\n\n"
FINISHED: dict[str, Finish] = {"end": "stop", "stop": "stop", "length": "length"}


class TextPart(BoundaryModel):
    """A piece of a message's content."""

    type: Literal["text"]
    text: str


class Turn(BoundaryModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    @property
    def plain(self) -> dict[str, JsonValue]:
        """As Loquela's own chat takes it; a developer's words are the system's."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class Drawing(BoundaryModel):
    """How text is drawn, in the words of the format."""

    model: str = Field(max_length=96)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=10)
    seed: int | None = None
    stop: Stop | list[Stop] | None = None
    stream: bool | None = None
    stream_options: dict[str, bool] | None = None
    user: str | None = Field(None, max_length=512)

    def limits(self, max_tokens: int | None) -> dict[str, JsonValue]:
        """The same in Loquela's words."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "max_new_tokens": max_tokens or DEFAULT_TOKENS,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": self.top_p,
            "stop_sequences": [*stops],
            "seed": (self.seed if self.seed is not None else int(time.time_ns())) % 2**31,
        }


class ChatCompletionRequest(Drawing):
    """A conversation whose next turn is asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "stories-20261122-130501-6ae608",
                    "messages": [{"role": "user", "content": "Tell me a story."}],
                }
            ]
        }
    )

    messages: list[Turn] = Field(min_length=1, max_length=1000)
    max_tokens: int | None = Field(None, ge=1, le=512)
    max_completion_tokens: int | None = Field(None, ge=1, le=512)


class CompletionRequest(Drawing):
    """A text whose continuation is asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "stories-20261122-130501-6ae608", "prompt": "Once upon a time", "max_tokens": 30}]
        }
    )

    prompt: str = Field("", max_length=1_000_000)
    max_tokens: int | None = Field(None, ge=1, le=512)


@router.post("/chat/completions", response_model=ChatCompletion)
def chat_completions(body: ChatCompletionRequest, request: Request, key: Inferrer) -> ChatCompletion | Response:
    """The next turn of a conversation; with `stream` as server-sent events while it is written."""
    parts = parts_of(request)
    if body.n is not None and body.n > 1:
        raise RecipeError(ErrorCode.CONFIG_INVALID, f"n: {body.n} answers at once are not given", "ask n times")
    asked: dict[str, JsonValue] = body.limits(body.max_completion_tokens or body.max_tokens)
    asked["messages"] = [turn.plain for turn in body.messages]
    place = model_place(parts, body.model)
    if body.stream:
        return _streamed(body.model, parts.pool.stream(place, "chat", asked), _ChatChunks())
    answered = parts.pool.ask(place, "chat", asked)
    result = _result(answered)
    choice = ChatChoice(
        index=0, message=ChatMessage(content=str(result["text"])), finish_reason=FINISHED[str(result["finished"])]
    )
    return ChatCompletion(
        id=_new_id("chatcmpl"),
        created=int(time.time()),
        model=body.model,
        choices=[choice],
        usage=usage(_count(answered), int(str(result["steps"]))),
    )


@router.post("/completions", response_model=TextCompletion)
def completions(body: CompletionRequest, request: Request, key: Inferrer) -> TextCompletion | Response:
    """The continuation of a text; with `stream` as server-sent events while it is written."""
    parts = parts_of(request)
    asked = body.limits(body.max_tokens) | {"prompt_text": body.prompt, "num_return_sequences": body.n or 1}
    place = model_place(parts, body.model)
    if body.stream and (body.n or 1) > 1:
        raise RecipeError(ErrorCode.CONFIG_INVALID, "n: only one sequence can be streamed", "set n to 1, or no stream")
    if body.stream:
        return _streamed(body.model, parts.pool.stream(place, "generate", asked), _TextChunks())
    answered = parts.pool.ask(place, "generate", asked)
    result = GenerateResult.model_validate(_result(answered))
    choices = [
        TextChoice(index=index, text=text, finish_reason="stop" if end else "length")
        for index, (text, end) in enumerate(zip(result.outputs, result.eos_terminated, strict=True))
    ]
    return TextCompletion(
        id=_new_id("cmpl"),
        created=int(time.time()),
        model=body.model,
        choices=choices,
        usage=usage(_count(answered), sum(result.steps)),
    )


class _Chunks(Protocol):
    """Turns what a model says into the choices of a stream."""

    object: str
    prefix: str

    def piece(self, text: str) -> dict[str, JsonValue]:
        """The choice of a chunk with text."""

    def end(self, result: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The choice of the last chunk."""


class _ChatChunks:
    object = "chat.completion.chunk"
    prefix = "chatcmpl"

    def piece(self, text: str) -> dict[str, JsonValue]:
        delta: JsonValue = {"role": "assistant", "content": text}
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}

    def end(self, result: dict[str, JsonValue]) -> dict[str, JsonValue]:
        reason = FINISHED[str(result.get("finished", "stop"))]
        return {"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}


class _TextChunks:
    object = "text_completion"
    prefix = "cmpl"

    def piece(self, text: str) -> dict[str, JsonValue]:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": None}

    def end(self, result: dict[str, JsonValue]) -> dict[str, JsonValue]:
        reason = "stop" if result.get("eos_terminated") == [True] else "length"
        return {"index": 0, "text": "", "logprobs": None, "finish_reason": reason}


def _streamed(model: str, answered: Generator[Message, None, None], chunks: _Chunks) -> StreamingResponse:
    head = _head(chunks.object, chunks.prefix, model)

    def event(message: Message) -> str:
        piece = message.get("piece")
        choice = chunks.piece(str(piece)) if piece is not None else chunks.end(_result(message))
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    return written(answered, event, _fault, DONE)


def _fault(error: LoquelaError) -> str:
    said = {"error": {"code": error.code, "message": error.message, "type": "server_error", "param": None}}
    return f"data: {json.dumps(said)}\n\n"


def _new_id(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex}"


def _head(kind: str, prefix: str, model: str) -> dict[str, JsonValue]:
    return {"id": _new_id(prefix), "object": kind, "created": int(time.time()), "model": model}


def _result(message: Message) -> dict[str, JsonValue]:
    result = message.get("result")
    return result if isinstance(result, dict) else {}


def _count(message: Message) -> int:
    """Tokens of the prompt, as the model's process counted them."""
    found = message.get("prompt_tokens")
    return found if isinstance(found, int) else 0
