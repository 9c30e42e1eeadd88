"""A plan made in a process of its own: it loads a tensor library and measures the machine, which the API does not."""

from __future__ import annotations

import subprocess
import sys
import threading

from pydantic import JsonValue, TypeAdapter, ValidationError

from loquela.core.carried_error import CarriedError
from loquela.core.errors import ErrorCode, LimitError, ResourceError
from loquela.recipe.schema import Recipe

PLAN_SECONDS = 120.0
AT_ONCE = 2
ANSWER: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
_turns = threading.BoundedSemaphore(AT_ONCE)


def planned(recipe: Recipe) -> dict[str, JsonValue] | None:
    """What `runs.plan.plan_run` says; None where only the run itself can tell.

    Raises what planning raises, LimitError when too many plans are being made, ResourceError(TIMEOUT, WORKER_CRASH)
    when the process does not answer.
    """
    if not _turns.acquire(blocking=False):
        raise LimitError(
            ErrorCode.RATE_LIMITED, f"{AT_ONCE} plans are being made, which is the most", "ask again", retryable=True,
            details={"retry_after_seconds": 5},
        )  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-m", "loquela.runs.plan_process"],
            input=recipe.model_dump_json(), capture_output=True, text=True, timeout=PLAN_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ResourceError(
            ErrorCode.TIMEOUT, f"no plan within {PLAN_SECONDS:.0f} seconds", "ask again when the machine is less busy"
        ) from error
    finally:
        _turns.release()
    try:
        answer = ANSWER.validate_json(done.stdout)
    except ValidationError as error:
        raise ResourceError(
            ErrorCode.WORKER_CRASH, f"the process that plans ended with code {done.returncode}", "ask again"
        ) from error
    if "error" in answer:
        raise CarriedError.model_validate(answer["error"]).error()
    plan = answer["plan"]
    return plan if isinstance(plan, dict) else None
