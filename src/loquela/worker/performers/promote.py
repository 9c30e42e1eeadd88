"""An export of a run marked as the one in use: what `loquela promote` does, in the run's checks/promoted.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from loquela.core.entry import resolve
from loquela.core.model import BoundaryModel
from loquela.evaluation.deployment.promotion import Promotion
from loquela.jobs.records import JSON_OBJECT, JsonObject
from loquela.worker.folders import JobRequest
from loquela.worker.performers.on_run import on_run, stopped_at_once

Promote = Callable[[Path], Promotion]
ENTRY = "loquela.evaluation.deployment.promotion:promote"
PROMOTED = "deployment.promoted.v1"


class PromoteSpec(BoundaryModel):
    """The export by its name."""

    bundle: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")


def perform(request: JobRequest) -> JsonObject:
    """Promote the export, on the strength of its newest check; one that is in use already stays as it is.

    Raises ProofError for one that did not pass, or was changed since, DataError for one that is absent or damaged.
    """
    spec = PromoteSpec.model_validate(request.spec)
    promote: Promote = resolve(ENTRY)
    with stopped_at_once(), on_run(request) as job:
        record = promote(job.folder / "exports" / spec.bundle)
        told = {"export": spec.bundle, "bundle_digest": record.bundle_digest, "report_digest": record.report_digest}
        job.bus.publish(PROMOTED, {**told, "follows": record.follows})
    promotion = JSON_OBJECT.validate_python(record.model_dump(mode="json"))
    return {"run_id": request.run_id, "bundle": spec.bundle, "promotion": promotion}
