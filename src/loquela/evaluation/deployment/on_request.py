"""One check of a bundle, its reports written where its promotion looks for them."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StopRequest
from loquela.core.errors import ProofError
from loquela.evaluation.deployment.promotion import check_folder
from loquela.evaluation.deployment.validator import DeploymentValidator
from loquela.evaluation.deployment.writing import write_check
from loquela.monitoring.events import Bus
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection


def check_bundle(
    bundle: Path, section: DeploySection, budgets: BudgetSection, bus: Bus, stop: StopRequest
) -> tuple[dict[str, JsonValue], ProofError | None]:
    """The report, and what a bundle that did not pass is refused with; raises what `DeploymentValidator.check` does."""
    checked = DeploymentValidator(bus, stop_reason=lambda: stop.reason).check(bundle, section, budgets)
    place = check_folder(bundle)
    write_check(place, checked.report, checked.runs)
    report = checked.report.model_dump(mode="json")
    try:
        checked.raise_if_failed(place)
    except ProofError as failure:
        return report, failure
    return report, None
