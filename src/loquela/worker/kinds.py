"""What each kind of job does: "module:function" of a `(JobRequest) -> result`, loaded in the job's own process."""

from __future__ import annotations

from collections.abc import Callable

from loquela.core.entry import resolve
from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.records import JsonObject
from loquela.worker.folders import JobRequest

Performer = Callable[[JobRequest], JsonObject]

PERFORMERS: dict[str, str] = {
    "run": "loquela.worker.performers.run:perform",
    "tokenizer": "loquela.worker.performers.tokenizer:perform",
    "evaluate": "loquela.worker.performers.evaluate:perform",
    "export": "loquela.worker.performers.export:perform",
    "deploy_check": "loquela.worker.performers.deploy_check:perform",
    "promote": "loquela.worker.performers.promote:perform",
    "merge": "loquela.worker.performers.merge:perform",
    "verify": "loquela.worker.performers.verify:perform",
}


def performer_of(kind: str) -> Performer:
    """The function of a kind; RecipeError(NOT_REGISTERED) for one that no worker of this version knows."""
    if kind not in PERFORMERS:
        raise RecipeError(
            ErrorCode.NOT_REGISTERED, f"no job of kind {kind!r} can be done here", f"ask for {', '.join(PERFORMERS)}"
        )
    return resolve(PERFORMERS[kind])
