"""What goes wrong between client and service, as errors of the one hierarchy."""

from __future__ import annotations

import httpx
from pydantic import ValidationError

from loquela.client.answers import Answer, Job, Problem, Run
from loquela.core.errors import (
    AccessError,
    DataError,
    ErrorCode,
    InternalError,
    Interrupted,
    LimitError,
    LoquelaError,
    ProofError,
    RecipeError,
    ResourceError,
)

BUSY = (429, 502, 503, 504)
STATE_CODES = (ErrorCode.INVALID_STATE, ErrorCode.RUN_LOCKED)
# Why a job failed → whose fault it was, as on the command line; anything else is the machine's.
BY_REASON: dict[str | None, type[LoquelaError]] = {
    "recipe_error": RecipeError,
    "data_error": DataError,
    "proof_failed": ProofError,
    "nan_loss": ProofError,
    "internal": InternalError,
}


class Refusal(Answer):
    """The body of an answer that is no success."""

    error: Problem


def refusal(response: httpx.Response) -> LoquelaError:
    """The error that an answer tells: the server's code, message and remedy."""
    try:
        said = Refusal.model_validate_json(response.content).error
    except ValidationError:
        return ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"{response.request.url.host} answered HTTP {response.status_code}, and not as Loquela does",
            "check the address of the service, and what stands before it",
            retryable=response.status_code in BUSY,
        )
    return made(said, response.status_code)


def made(said: Problem, status: int) -> LoquelaError:
    """A problem that was told, with the class that its status stands for."""
    code = _code(said)
    kind = _kind(status, code)
    return kind(code, said.message, said.remedy or "see the service's log", retryable=status in BUSY)


def failure(ended: Run | Job) -> LoquelaError | None:
    """The error of a job that failed, or was stopped: of the class that its work raises here. None for any other."""
    job_id = ended.job_id if isinstance(ended, Job) else ended.run_id
    if ended.state == "failed":
        said = ended.error or Problem(code=ErrorCode.INVALID_STATE, message=f"{job_id} failed: {ended.message}")
        kind = BY_REASON.get(ended.reason, ResourceError)
        return kind(_code(said), said.message, said.remedy or "see the run's log")
    if ended.state in ("cancelled", "paused"):
        remedy = "resume it to go on"
        return Interrupted(ErrorCode.INTERRUPTED, f"{job_id} was {ended.state} before it was done", remedy)
    return None


def unreachable(address: str, error: httpx.HTTPError) -> ResourceError:
    """Nothing answered, or the connection broke."""
    return ResourceError(
        ErrorCode.NETWORK_ERROR,
        f"the service at {address} cannot be reached: {error or type(error).__name__}",
        "start it with loquela serve, or give its address",
        retryable=True,
    )


def other_bytes(path: str) -> DataError:
    """A download that is not what was promised."""
    return DataError(
        ErrorCode.CORRUPTION,
        f"what came from {path} is not what the service promised: another SHA-256",
        "download it again; if it stays so, look what stands between you and the service",
        retryable=True,
    )


def _code(said: Problem) -> ErrorCode:
    return ErrorCode(said.code) if said.code in ErrorCode.__members__ else ErrorCode.INTERNAL


def _kind(status: int, code: ErrorCode) -> type[LoquelaError]:
    if status == 429:
        return LimitError
    if status in (401, 403):
        return AccessError
    if status == 409 and code not in STATE_CODES:
        return ProofError
    if status == 422 and code != ErrorCode.CONFIG_INVALID:
        return DataError
    if status in BUSY:
        return ResourceError
    return RecipeError if status < 500 else InternalError
