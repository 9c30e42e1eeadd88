"""May an export of a run go out? What `loquela deploy-check` proves and measures, with its reports in checks/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.artifacts.context import StopRequest
from loquela.core.entry import resolve
from loquela.core.errors import ProofError
from loquela.core.model import BoundaryModel
from loquela.jobs.records import JsonObject
from loquela.monitoring.events import Bus
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection
from loquela.runs.signals import stop_on_signals
from loquela.worker.folders import JobRequest, keep_result
from loquela.worker.performers.on_run import on_run

Verdict = tuple[dict[str, JsonValue], ProofError | None]
CheckBundle = Callable[[Path, DeploySection, BudgetSection, Bus, StopRequest], Verdict]
ENTRY = "loquela.evaluation.deployment.on_request:check_bundle"


class DeployCheckSpec(BoundaryModel):
    """The export by its name, and what it must hold to; None: what the run's recipe asks for.

    `budgets` count for what `requirements` leave open.
    """

    bundle: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    requirements: DeploySection | None = None
    budgets: BudgetSection | None = None


def perform(request: JobRequest) -> JsonObject:
    """Check the export; where it does not pass, ProofError with the report kept as the result.

    Raises also DataError for an export that is absent or damaged, Interrupted on a stop request.
    """
    spec = DeployCheckSpec.model_validate(request.spec)
    check_bundle: CheckBundle = resolve(ENTRY)
    with on_run(request) as job, stop_on_signals() as stop:
        section = spec.requirements or job.recipe.deploy or DeploySection()
        bundle = job.folder / "exports" / spec.bundle
        budgets = spec.budgets or job.recipe.evaluate.budgets
        report, failure = check_bundle(bundle, section, budgets, job.bus, stop)
    result: JsonObject = {"run_id": request.run_id, "bundle": spec.bundle, "report": report}
    if failure is not None:
        keep_result(request, result)
        raise failure
    return result
