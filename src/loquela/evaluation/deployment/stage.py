"""The deploy_check stage: every export of the run is held to the recipe's requirements.

exports ─ for each bundle ─▶ check ─▶ deploy/<bundle>/ with its reports
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.bundle import is_bundle
from loquela.artifacts.context import StageContext, StageResult
from loquela.evaluation.deployment.report import DeployReport
from loquela.evaluation.deployment.validator import Checked, DeploymentValidator
from loquela.evaluation.deployment.writing import write_check
from loquela.recipe.deploy_section import DeploySection


def check(context: StageContext) -> StageResult:
    """Check each bundle in `context.inputs["exports"]`; all are measured before the first that failed is told.

    Raises ProofError (PERFORMANCE_BELOW_THRESHOLD, INFERENCE_FAILED) after the reports are written, Interrupted on a
    stop request, else as `DeploymentValidator.check`.
    """
    section = context.recipe.deploy or DeploySection()
    validator = DeploymentValidator(context.bus, stop_reason=lambda: context.stop.reason)
    found: list[tuple[Checked, Path]] = []
    for bundle in sorted(path for path in context.inputs["exports"].iterdir() if is_bundle(path)):
        checked = validator.check(bundle, section, context.recipe.evaluate.budgets)
        place = context.output / bundle.name
        write_check(place, checked.report, checked.runs)
        found.append((checked, place))
    for checked, place in found:
        checked.raise_if_failed(place)
    facts: dict[str, JsonValue] = {place.name: _facts(checked.report) for checked, place in found}
    return StageResult(facts=facts, summary=f"passed: {', '.join(facts)}")


def _facts(report: DeployReport) -> JsonValue:
    return {
        "bundle_digest": report.bundle_digest,
        "latency_p95_ms": report.figure("latency_p95_ms").median,
        "requests_per_second": report.figure("requests_per_second").median,
        "generation_tokens_per_second": report.figure("generation_tokens_per_second").median,
        "peak_mb": report.figure("peak_mb").median,
        "cold_start_seconds": report.figure("cold_start_seconds").median,
    }
