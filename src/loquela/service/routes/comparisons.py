"""What differs between two runs."""

from __future__ import annotations

import threading

from fastapi import APIRouter, Request
from pydantic import JsonValue

from loquela.core.errors import ErrorCode, LimitError
from loquela.runs.comparison import compare_runs
from loquela.service.authentication import Reader
from loquela.service.numbers import worded_object
from loquela.service.parts import parts_of
from loquela.service.routes.runs import find_run
from loquela.service.schemas import RunId

router = APIRouter(prefix="/runs", tags=["runs"])
# All rows of both are held meanwhile.
AT_ONCE = 2
_turns = threading.BoundedSemaphore(AT_ONCE)


@router.get("/{run_id}/diff/{other_id}")
def diff(run_id: RunId, other_id: RunId, request: Request, key: Reader) -> dict[str, JsonValue]:
    """What differs between two runs: recipe, what each stage made (by digest), versions, hardware, results.

    Of runs that fine-tune also the examples, and metrics and answers of the two adapters on the rows of both.
    """
    parts = parts_of(request)
    folders = [parts.run_folder(find_run(parts, each).run_id) for each in (run_id, other_id)]
    if not _turns.acquire(blocking=False):
        raise LimitError(
            ErrorCode.RATE_LIMITED, f"{AT_ONCE} pairs of runs are being compared, which is the most", "ask again",
            retryable=True, details={"retry_after_seconds": 2},
        )  # fmt: skip
    try:
        found = compare_runs(*folders)
    finally:
        _turns.release()
    return worded_object(found.model_dump(mode="json"))
