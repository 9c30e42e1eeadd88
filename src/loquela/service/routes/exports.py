"""A run's model on its way out: exported, merged, checked, proven; `GET /jobs/{job_id}` has the result of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.jobs.records import JobKind
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection
from loquela.recipe.export_section import ExportFormat, ExportTarget, Quantization
from loquela.service.authentication import Reader, Runner
from loquela.service.exports import ExportList, exports_of
from loquela.service.parts import Parts, parts_of
from loquela.service.promotions import PromotionList, promotions_of
from loquela.service.queueing import Before, IdempotencyKey, JobPage, JobView, Limit, job_view, queue
from loquela.service.routes.runs import find_run
from loquela.service.schemas import RunId

router = APIRouter(prefix="/runs", tags=["exports"])
TARGET = ExportTarget.model_fields
ExportName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$", description="its name: GET /runs/{run_id}/exports")
]


class ExportRequest(BoundaryModel):
    """What to make of the run's model."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"format": "gguf", "quantize": "int8"}, {"format": "onnx"}, {}]}
    )

    format: ExportFormat | None = Field(None, description="of the files; null: the one that is served fastest")
    quantize: Quantization | None = Field(
        None, description="how weights are stored; null: as they are, without a format int8"
    )
    prune: float = Field(0.0, ge=0, lt=1, description=TARGET["prune"].description)

    def spec(self) -> dict[str, JsonValue]:
        """The same as the worker takes it."""
        quantize = self.quantize or ("none" if self.format else "int8")
        target = ExportTarget(format=self.format or "gguf", quantize=quantize, prune=self.prune)
        return {**target.model_dump(mode="json"), "fastest": self.format is None}


class DeployCheckRequest(BoundaryModel):
    """Which export to check, and against what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"export": "onnx-int8"},
                {"export": "onnx-int8", "requirements": {"max_latency_ms": 200, "load": {"requests": 20}}},
            ]
        }
    )

    export: ExportName
    requirements: DeploySection | None = Field(
        None, description="as in a recipe's section deploy; null: the section of the run's own recipe"
    )
    budgets: BudgetSection | None = Field(
        None, description="for what the requirements leave open; null: evaluate.budgets of the run's own recipe"
    )


class PromotionRequest(BoundaryModel):
    """Which export to put into use."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"export": "onnx-int8"}]})

    export: ExportName


@router.post("/{run_id}/exports", status_code=202)
def export(
    run_id: RunId, body: ExportRequest, request: Request, key: Runner, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Queue an export. It is published only where it is as near to the model as the run's recipe asks for."""
    return _queued(parts_of(request), "export", run_id, body.spec(), key.owner, idempotency_key)


@router.get("/{run_id}/exports")
def list_exports(run_id: RunId, request: Request, key: Reader) -> ExportList:
    """The exports that are there; those under way are among `GET /jobs?run_id=…`."""
    parts = parts_of(request)
    run = find_run(parts, run_id)
    return exports_of(run.run_id, parts.run_folder(run.run_id))


@router.post("/{run_id}/deploy-checks", status_code=202)
def deploy_check(
    run_id: RunId, body: DeployCheckRequest, request: Request, key: Runner, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Queue a check of an export: every file, golden prompts token for token, latency and throughput under load."""
    wanted = body.requirements
    if wanted is not None and wanted.against is not None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "requirements.against: a request names no folder of the server",
            "leave it out: an export is compared with the one of its run that is promoted",
        )
    asked: JsonValue = wanted.model_dump(mode="json", exclude_unset=True) if wanted is not None else None
    spec: dict[str, JsonValue] = {"bundle": body.export, "requirements": asked}
    if body.budgets is not None:
        spec["budgets"] = body.budgets.model_dump(mode="json")
    return _queued(parts_of(request), "deploy_check", run_id, spec, key.owner, idempotency_key)


@router.get("/{run_id}/deploy-checks")
def list_deploy_checks(
    run_id: RunId, request: Request, key: Reader, before: Before = None, limit: Limit = 50
) -> JobPage:
    """Checks of the run's exports, newest first, each with its report as soon as it is done."""
    parts = parts_of(request)
    run = find_run(parts, run_id)
    page = parts.listing.page(kind="deploy_check", run_id=run.run_id, before=before, limit=limit)
    return JobPage(jobs=[job_view(job) for job in page.jobs], next_before=page.next_before)


@router.post("/{run_id}/promotions", status_code=202)
def promote(
    run_id: RunId, body: PromotionRequest, request: Request, key: Runner, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Queue the promotion of an export: the one in use, that later checks of the run's exports are compared with.

    It fails for an export that did not pass its newest check, or was changed since.
    """
    return _queued(parts_of(request), "promote", run_id, {"bundle": body.export}, key.owner, idempotency_key)


@router.get("/{run_id}/promotions")
def list_promotions(run_id: RunId, request: Request, key: Reader) -> PromotionList:
    """Which export of the run is in use, and which were before."""
    parts = parts_of(request)
    run = find_run(parts, run_id)
    return promotions_of(run.run_id, parts.run_folder(run.run_id))


@router.post("/{run_id}/merge", status_code=202)
def merge(run_id: RunId, request: Request, key: Runner, idempotency_key: IdempotencyKey = None) -> JobView:
    """Queue the merge of a run's adapter into its base, measured against the two."""
    return _queued(parts_of(request), "merge", run_id, {}, key.owner, idempotency_key)


@router.post("/{run_id}/verify", status_code=202)
def verify(run_id: RunId, request: Request, key: Runner, idempotency_key: IdempotencyKey = None) -> JobView:
    """Queue the proof that everything the run has on disk is still what it was."""
    return _queued(parts_of(request), "verify", run_id, {}, key.owner, idempotency_key)


def _queued(
    parts: Parts, kind: JobKind, run_id: str, spec: dict[str, JsonValue], owner: str, idempotency_key: str | None
) -> JobView:
    return job_view(queue(parts, kind, find_run(parts, run_id), spec, owner, idempotency_key))
