"""Text from and measures of a run's model: queued and polled, and chats as they are written."""

from __future__ import annotations

import json
import uuid
from typing import Annotated

from fastapi import APIRouter, Body, Header, Request
from pydantic import Field, JsonValue
from starlette.responses import StreamingResponse

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.core.model import BoundaryModel
from loquela.inference.chat_contracts import ChatRequest, ChatResult
from loquela.inference.contracts import GenerateRequest, GenerateResult, ScoreRequest, ScoreResult
from loquela.jobs.records import Job, JobError, JobKind, NewJob
from loquela.jobs.states import JobState
from loquela.service.authentication import Inferrer
from loquela.service.inference.engine_handle import Message
from loquela.service.numbers import worded_object
from loquela.service.parts import Parts, parts_of
from loquela.service.routes.runs import find_run
from loquela.service.schemas import RunId
from loquela.service.written import written

router = APIRouter(prefix="/runs", tags=["inference"])
RequestId = Annotated[str, Field(pattern=r"^[a-z]+-[0-9a-f]{32}$")]
IdempotencyKey = Annotated[str | None, Header(max_length=255)]
GenerateBody = Annotated[
    GenerateRequest, Body(examples=[{"prompt_text": "Once upon a time", "max_new_tokens": 30, "temperature": 0}])
]
ScoreBody = Annotated[
    ScoreRequest, Body(examples=[{"text": "Once upon a time", "detail_level": "per_char", "top_k": 3}])
]
ChatBody = Annotated[ChatRequest, Body(examples=[{"messages": [{"role": "user", "content": "Tell me a story."}]}])]


class GenerateAnswer(BoundaryModel):
    """A generation: `status` is its job's state; the rest is there when it has succeeded."""

    request_id: str
    status: JobState
    error: JobError | None = None
    outputs: list[str] | None = None
    steps: list[int] | None = None
    eos_terminated: list[bool] | None = None
    notes: list[str] = Field(default_factory=list)


class ScoreAnswer(BoundaryModel):
    """A scoring: `status` is its job's state, `result` is there when it has succeeded."""

    request_id: str
    status: JobState
    error: JobError | None = None
    loss: float | None = None
    perplexity: float | None = None
    surprisal: list[float] | None = None
    topk: list[list[dict[str, JsonValue]]] | None = None
    tokens: list[str] | None = None
    characters: list[dict[str, JsonValue]] | None = None
    notes: list[str] = Field(default_factory=list)


@router.post("/{run_id}/generate", status_code=202)
def generate(
    run_id: RunId, body: GenerateBody, request: Request, key: Inferrer, idempotency_key: IdempotencyKey = None
) -> GenerateAnswer:
    """Queue a generation; ask for it by its `request_id`."""
    _no_path(body.prompt_path, "prompt_path", "prompt_text")
    spec = dict(body.model_dump(mode="json", exclude_unset=True))
    return _generated(_queued(parts_of(request), run_id, "generate", spec, key.owner, idempotency_key))


@router.get("/{run_id}/generate/{request_id}")
def get_generated(run_id: RunId, request_id: RequestId, request: Request, key: Inferrer) -> GenerateAnswer:
    """A generation, or how far it is."""
    return _generated(_found(parts_of(request), run_id, request_id, "generate"))


@router.post("/{run_id}/score", status_code=202)
def score(
    run_id: RunId, body: ScoreBody, request: Request, key: Inferrer, idempotency_key: IdempotencyKey = None
) -> ScoreAnswer:
    """Queue a scoring; ask for it by its `request_id`."""
    _no_path(body.path, "path", "text")
    spec = dict(body.model_dump(mode="json", exclude_unset=True))
    return _scored(_queued(parts_of(request), run_id, "score", spec, key.owner, idempotency_key))


@router.get("/{run_id}/score/{request_id}")
def get_scored(run_id: RunId, request_id: RequestId, request: Request, key: Inferrer) -> ScoreAnswer:
    """A scoring, or how far it is."""
    return _scored(_found(parts_of(request), run_id, request_id, "score"))


@router.post("/{run_id}/chat")
def chat(run_id: RunId, body: ChatBody, request: Request, key: Inferrer) -> ChatResult:
    """The model's next turn, whole."""
    parts = parts_of(request)
    folder = parts.model_folder(find_run(parts, run_id).run_id)
    answered = parts.pool.ask(folder, "chat", body.model_dump(mode="json"))
    return ChatResult.model_validate(answered["result"])


@router.post("/{run_id}/chat/stream", response_class=StreamingResponse)
def chat_stream(run_id: RunId, body: ChatBody, request: Request, key: Inferrer) -> StreamingResponse:
    """The model's next turn as it is written: events `piece`, then `result` or `error`."""
    parts = parts_of(request)
    folder = parts.model_folder(find_run(parts, run_id).run_id)
    return written(parts.pool.stream(folder, "chat", body.model_dump(mode="json")), _event, _fault)


def _event(message: Message) -> str:
    name = "piece" if "piece" in message else "result"
    return f"event: {name}\ndata: {json.dumps(message[name])}\n\n"


def _fault(error: LoquelaError) -> str:
    said = {"code": error.code, "message": error.message, "remedy": error.remedy}
    return f"event: error\ndata: {json.dumps(said)}\n\n"


def _queued(
    parts: Parts, run_id: str, kind: JobKind, spec: dict[str, JsonValue], owner: str, idempotency_key: str | None
) -> Job:
    run = find_run(parts, run_id)
    new = NewJob(id=f"{kind}-{uuid.uuid4().hex}", kind=kind, run_id=run.run_id, spec=spec, created_by=owner)
    asked: dict[str, JsonValue] = {"run_id": run_id, "kind": kind, **spec}
    job = parts.submissions.submit(new, idempotency_key=idempotency_key, request=asked)
    parts.dispatcher.ring()
    return job


def _found(parts: Parts, run_id: str, request_id: str, kind: JobKind) -> Job:
    job = parts.listing.get(request_id)
    if job.kind != kind or job.run_id != run_id:
        raise RecipeError(
            ErrorCode.RUN_NOT_FOUND, f"run {run_id} has no request {request_id}", "use the id that POST answered with"
        )
    return job


def _generated(job: Job) -> GenerateAnswer:
    result = GenerateResult.model_validate(job.result) if job.result else None
    given = result.model_dump() if result is not None else {}
    return GenerateAnswer(request_id=job.id, status=job.state, error=job.error, **given)


def _scored(job: Job) -> ScoreAnswer:
    result = ScoreResult.model_validate(job.result) if job.result else None
    given = worded_object(result.model_dump(mode="json")) if result is not None else {}
    return ScoreAnswer.model_validate({"request_id": job.id, "status": job.state, "error": job.error, **given})


def _no_path(path: object, name: str, instead: str) -> None:
    if path is not None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{name}: a request names no file of the server", f"send the text as {instead}"
        )
