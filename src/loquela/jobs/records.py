"""Jobs, attempts and events as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from sqlalchemy import Row

from loquela.core.model import BoundaryModel
from loquela.jobs.states import JobState, Reason

JobKind = Literal[
    "run", "tokenizer", "evaluate", "export", "deploy_check", "promote", "merge", "verify", "generate", "score"
]
Level = Literal["info", "warn", "error"]
JsonObject = dict[str, JsonValue]
# Answered by warm models; all others are done by workers, each alone on its run.
INFERENCE: tuple[JobKind, ...] = ("generate", "score")
# These make a run's folder; all others have one to work on.
MAKES_A_RUN: tuple[JobKind, ...] = ("run", "tokenizer")
# "constants": NaN and infinities come back as what they were.
JSON_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject, config=ConfigDict(ser_json_inf_nan="constants"))


class JobError(BoundaryModel):
    """What stopped a job, in the one shape of all errors."""

    code: str
    message: str
    remedy: str = ""
    details: JsonObject = Field(
        default_factory=dict, description="`output`: of a process that died without a word, the end of what it printed"
    )


class Job(BoundaryModel):
    """One row of `jobs`; times are seconds since 1970, UTC."""

    seq: int
    id: str
    kind: JobKind
    run_id: str
    spec: JsonObject
    state: JobState
    reason: Reason | None = None
    message: str = ""
    error: JobError | None = None
    priority: int = 0
    attempt: int = 0
    crashes: int = 0
    fence: int = 0
    lease_owner: str | None = None
    lease_until: float | None = None
    not_before: float = 0.0
    created_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    progress_at: float | None = None
    progress: JsonObject = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    created_by: str = ""
    project: str | None = None
    result: JsonObject | None = None


class NewJob(BoundaryModel):
    """What is asked for. `id` and `run_id` are the caller's to choose; a job on an existing run names that run."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    kind: JobKind
    run_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    spec: JsonObject
    priority: int = Field(0, ge=-100, le=100)
    labels: dict[str, str] = Field(default_factory=dict)
    created_by: str = ""


class StoredEvent(BoundaryModel):
    """One row of `events`."""

    seq: int
    id: str
    job_id: str | None = None
    run_id: str | None = None
    at: float
    level: Level = "info"
    name: str
    message: str = ""
    data: JsonObject = Field(default_factory=dict)


def job_of(row: Row[tuple[object, ...]] | Mapping[str, object]) -> Job:
    """A row of `jobs` as a value."""
    fields: dict[str, object] = dict(row if isinstance(row, Mapping) else row._mapping)
    fields.pop("spec_digest", None)
    for name in ("spec", "progress", "labels", "error", "result"):
        if fields.get(name) is not None:
            fields[name] = JSON_OBJECT.validate_json(str(fields[name]))
    return Job.model_validate(fields)


def event_of(row: Row[tuple[object, ...]]) -> StoredEvent:
    """A row of `events` as a value."""
    fields: dict[str, object] = dict(row._mapping)
    fields.pop("project")
    fields["data"] = JSON_OBJECT.validate_json(str(fields["data"]))
    return StoredEvent.model_validate(fields)


def json_text(value: Mapping[str, JsonValue] | Mapping[str, str]) -> str:
    """A JSON column's text; NaN and infinities survive."""
    return JSON_OBJECT.dump_json(dict(value), by_alias=True).decode("utf-8")
