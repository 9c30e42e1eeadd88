"""Where a job's papers lie: what its process is given, and what it leaves behind.

<data>/jobs/<job id>/
  request.json   what to do; written before the process starts
  result.json    what came out
  error.json     why nothing did, in the one shape of errors
  output.log     what the process printed, of all attempts
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from loquela.artifacts.manifest import corrupt
from loquela.core.atomic import write_text
from loquela.core.errors import FailureClass, LoquelaError
from loquela.core.model import BoundaryModel
from loquela.jobs.records import Job, JobError, JobKind, JsonObject

REQUEST, RESULT, ERROR, OUTPUT = "request.json", "result.json", "error.json", "output.log"


class JobRequest(BoundaryModel):
    """What a process is asked to do; it needs nothing else."""

    job_id: str
    kind: JobKind
    run_id: str
    data: Path
    spec: JsonObject


class JobFailure(BoundaryModel):
    """What stopped a process, with what a retry may hope for."""

    error: JobError
    failure_class: FailureClass
    retryable: bool


class JobResult(BoundaryModel):
    """What came out of a job."""

    result: JsonObject


def job_folder(data: Path, job_id: str) -> Path:
    """The folder of a job below the data folder."""
    return data / "jobs" / job_id


def prepare_folder(data: Path, job: Job) -> Path:
    """The job's folder with its request, and nothing left of an earlier attempt but the log."""
    folder = job_folder(data, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (RESULT, ERROR):
        (folder / name).unlink(missing_ok=True)
    request = JobRequest(job_id=job.id, kind=job.kind, run_id=job.run_id, data=data, spec=job.spec)
    write_text(folder / REQUEST, request.model_dump_json(indent=1) + "\n")
    return folder


def read_request(folder: Path) -> JobRequest:
    """What the folder asks for; DataError(CORRUPTION) when it cannot be read."""
    try:
        return JobRequest.model_validate_json((folder / REQUEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(folder, f"{REQUEST} cannot be read") from error


def keep_result(request: JobRequest, result: JsonObject) -> None:
    """What came out; also of work that fails afterwards because it is not good enough."""
    place = job_folder(request.data, request.job_id) / RESULT
    write_text(place, JobResult(result=result).model_dump_json(indent=1) + "\n")


def read_result(folder: Path) -> JsonObject | None:
    """What came out; None where nothing did."""
    try:
        return JobResult.model_validate_json((folder / RESULT).read_bytes()).result
    except (OSError, ValidationError):
        return None


def read_failure(folder: Path) -> JobFailure | None:
    """What stopped the process; None where it did not say."""
    try:
        return JobFailure.model_validate_json((folder / ERROR).read_bytes())
    except (OSError, ValidationError):
        return None


def failure_of(error: LoquelaError) -> JobFailure:
    """An error as it is handed on."""
    return JobFailure(
        error=JobError(code=error.code, message=error.message, remedy=error.remedy),
        failure_class=error.failure_class,
        retryable=error.retryable,
    )
