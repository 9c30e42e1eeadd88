"""Tokenizers: trained, looked at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.records import Job, JobError, NewJob
from loquela.jobs.states import JobState, Reason
from loquela.recipe.schema import TokenizerSection
from loquela.runs.store import new_run_id
from loquela.service.authentication import Reader, Runner
from loquela.service.parts import parts_of
from loquela.service.queueing import Before, IdempotencyKey, Limit
from loquela.service.recipes import admit, as_given
from loquela.service.schemas import Labels, RunId

router = APIRouter(prefix="/tokenizers", tags=["tokenizers"])
KIND = "tokenizer"
SECTION = TokenizerSection.model_fields
STATISTICS = ("method", "vocab_size", "coverage", "oov_rate", "token_count", "char_coverage", "tokens_per_word")


class TokenizerTrainRequest(BoundaryModel):
    """What a tokenizer learns from and how; what is left out is as in a recipe that leaves it out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "stories", "method": "bpe", "vocab_size": 8000, "corpus": ["builtin:stories"]}]
        }
    )

    name: str = Field("tokenizer", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="prefix of its id")
    corpus: list[Annotated[str, Field(min_length=1, max_length=1024)]] = Field(
        min_length=1,
        max_length=1000,
        description="names below corpus/, upload:<id>, or sources that the service allows",
    )
    method: str | None = Field(None, max_length=64, description=SECTION["method"].description)
    vocab_size: int | None = Field(None, description=SECTION["vocab_size"].description)
    min_frequency: int | None = Field(None, description=SECTION["min_frequency"].description)
    holdout_fraction: float | None = Field(None, description=SECTION["holdout_fraction"].description)
    seed: int | None = Field(None, description="of what is held out")
    threads: int | None = Field(None, description="null: one for each physical core")
    data: dict[str, JsonValue] = Field(
        default_factory=dict, description="more of a recipe's section data: normalization, document_bytes, …"
    )
    labels: Labels = Field(default_factory=dict, description="at most 16 words of your own")

    def recipe(self) -> dict[str, JsonValue]:
        """The same as a recipe, without what was left out."""
        asked: dict[str, JsonValue] = {
            "method": self.method,
            "vocab_size": self.vocab_size,
            "min_frequency": self.min_frequency,
            "holdout_fraction": self.holdout_fraction,
        }
        data: dict[str, JsonValue] = {**self.data, "sources": [*self.corpus]}
        if self.seed is not None:
            data["seed"] = self.seed
        made: dict[str, JsonValue] = {
            "name": self.name,
            "data": data,
            "tokenizer": {key: value for key, value in asked.items() if value is not None},
        }
        return made if self.threads is None else {**made, "compute": {"data_workers": self.threads}}


class TokenizerView(BoundaryModel):
    """A tokenizer and what it does to text it has not seen; `status` is its job's state."""

    tokenizer_id: str
    status: JobState
    reason: Reason | None
    message: str
    error: JobError | None
    method: str | None = None
    vocab_size: int | None = None
    coverage: float | None = Field(None, description="1 - oov_rate")
    oov_rate: float | None = Field(None, description="unknown tokens / tokens")
    token_count: int | None = None
    char_coverage: float | None = None
    tokens_per_word: float | None = None
    statistics: dict[str, JsonValue] | None = Field(None, description="all that was measured")
    digest: str | None = None
    labels: dict[str, str]
    created_at: float
    ended_at: float | None


class TokenizerPage(BoundaryModel):
    """Some tokenizers, newest first; ask again with `before` for older ones."""

    tokenizers: list[TokenizerView]
    next_before: int | None


@router.post("/train", status_code=202)
def train(
    body: TokenizerTrainRequest, request: Request, key: Runner, idempotency_key: IdempotencyKey = None
) -> TokenizerView:
    """Queue the training of a tokenizer. A run with the same data and tokenizer settings uses what it made."""
    parts = parts_of(request)
    resolved = admit(body.recipe(), parts.settings, parts.uploads.place)
    tokenizer_id = new_run_id(resolved.recipe.name)
    new = NewJob(
        id=tokenizer_id,
        kind=KIND,
        run_id=tokenizer_id,
        spec={"recipe": as_given(resolved)},
        labels=body.labels,
        created_by=key.owner,
    )
    asked = dict(body.model_dump(mode="json"))
    job = parts.submissions.submit(new, idempotency_key=idempotency_key, request=asked)
    parts.doorbell.ring(job.id, job.fence)
    return view_of(job)


@router.get("")
def list_tokenizers(request: Request, key: Reader, before: Before = None, limit: Limit = 50) -> TokenizerPage:
    """Tokenizers, newest first."""
    page = parts_of(request).listing.page(kind=KIND, before=before, limit=limit)
    return TokenizerPage(tokenizers=[view_of(job) for job in page.jobs], next_before=page.next_before)


@router.get("/{tokenizer_id}")
def get_tokenizer(tokenizer_id: RunId, request: Request, key: Reader) -> TokenizerView:
    """One tokenizer: how far it is, and what was measured."""
    job = parts_of(request).listing.get(tokenizer_id)
    if job.kind != KIND:
        raise RecipeError(ErrorCode.RUN_NOT_FOUND, f"{tokenizer_id} is no tokenizer", "list them: GET /tokenizers")
    return view_of(job)


def view_of(job: Job) -> TokenizerView:
    """A tokenizer's job as it is shown."""
    result = job.result or {}
    found = result.get("statistics")
    statistics = found if isinstance(found, dict) else None
    shown = {name: statistics.get(name) for name in STATISTICS} if statistics is not None else {}
    return TokenizerView.model_validate(
        {
            "tokenizer_id": job.id,
            "status": job.state,
            "reason": job.reason,
            "message": job.message,
            "error": job.error,
            "statistics": statistics,
            "digest": result.get("digest"),
            "labels": job.labels,
            "created_at": job.created_at,
            "ended_at": job.ended_at,
            **shown,
        }
    )
