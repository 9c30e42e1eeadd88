"""DeploymentValidator: a bundle and requirements in, a judged report out.

bundle ─ proven ─▶ fresh process, times repeats ─▶ figures ─ requirements, promoted bundle ─▶ verdicts ─▶ report
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loquela.artifacts.bundle import Bundle
from loquela.core.errors import ErrorCode, LoquelaError, ProofError
from loquela.evaluation.deployment.assembling import assemble, baseline_of
from loquela.evaluation.deployment.baseline import find_promoted
from loquela.evaluation.deployment.contents import proven_bundle
from loquela.evaluation.deployment.contracts import (
    DeploymentTestResults,
    DeploymentValidatorError,
    DeploymentValidatorRequest,
    DeploymentValidatorResult,
)
from loquela.evaluation.deployment.figures import figures_of
from loquela.evaluation.deployment.job import LoadJob, LoadRun
from loquela.evaluation.deployment.machine import this_machine
from loquela.evaluation.deployment.process import run_job
from loquela.evaluation.deployment.promotion import check_folder, home_of, in_force
from loquela.evaluation.deployment.report import DeployReport
from loquela.evaluation.deployment.writing import write_check
from loquela.monitoring.events import Bus, trace
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeployLoad, DeploySection

COMPONENT = "DeploymentValidator"
ITS_CODES = (ErrorCode.PERFORMANCE_BELOW_THRESHOLD, ErrorCode.INFERENCE_FAILED, ErrorCode.COMPATIBILITY_ERROR)


@dataclass
class Checked:
    """The report, and every request of every repeat behind it."""

    report: DeployReport
    runs: list[LoadRun] = field(default_factory=list)

    def raise_if_failed(self, place: Path) -> None:
        """Where the bundle did not pass: ProofError, INFERENCE_FAILED for wrong tokens, else for its performance."""
        report = self.report
        if report.passed:
            return
        wrong = bool(report.golden.mismatches)
        raise ProofError(
            ErrorCode.INFERENCE_FAILED if wrong else ErrorCode.PERFORMANCE_BELOW_THRESHOLD,
            f"{report.bundle} did not pass its check: {'; '.join(report.failures)}; the report is in {place}",
            "export the model again: this bundle does not write what it wrote when it was exported"
            if wrong
            else "use a smaller or quantized export or a faster machine, or lower the requirement",
            details={"report": str(place), "failures": [*report.failures]},
        )


class DeploymentValidator:
    """Checks bundles; `stop_reason` is asked ten times a second whether to go on."""

    def __init__(self, bus: Bus, stop_reason: Callable[[], str | None] = lambda: None) -> None:
        self._bus = bus
        self._stop_reason = stop_reason

    def run(self, request: DeploymentValidatorRequest) -> DeploymentValidatorResult:
        """Check what the request asks for, under the default load and budgets, and write the reports beside the bundle.

        Raises what `check` raises, and ProofError when the bundle did not pass.
        """
        wanted = request.performance_requirements
        section = DeploySection(
            max_latency_ms=wanted.max_latency_ms,
            min_throughput_qps=wanted.min_throughput_qps,
            load=DeployLoad(prompts=request.test_inputs, max_seconds=60.0),
        )
        bundle = Path(request.export_path)
        checked = self.check(bundle, section, BudgetSection())
        write_check(check_folder(bundle), checked.report, checked.runs)
        checked.raise_if_failed(check_folder(bundle))
        return result_of(checked.report)

    def check(self, directory: Path, section: DeploySection, budgets: BudgetSection) -> Checked:
        """Measure and judge; a requirement that is missed is a failure in the report, not an error.

        Raises DataError for a bundle that is damaged or cannot be run, ResourceError(MISSING_EXTRA) where its runtime
        is not installed, ProofError(INFERENCE_FAILED) when its process died, Interrupted when somebody asked.
        """
        trace(self._bus, COMPONENT, "validation_start", export_path=str(directory))
        try:
            checked = self._check(directory, section, section.budgets or budgets)
        except LoquelaError as error:
            if error.code in ITS_CODES:
                self._tell_failure(error.code, [error.message])
            raise
        report = checked.report
        if not report.passed:
            code = ErrorCode.INFERENCE_FAILED if report.golden.mismatches else ErrorCode.PERFORMANCE_BELOW_THRESHOLD
            self._tell_failure(code, report.failures)
        trace(self._bus, COMPONENT, "validation_complete", **result_of(report).model_dump(mode="json"))
        return checked

    def _tell_failure(self, code: ErrorCode, failures: Sequence[str]) -> None:
        record = DeploymentValidatorError.model_validate({"error_code": code, "failures": [*failures]})
        trace(self._bus, COMPONENT, "validation_failed", **record.model_dump(mode="json"))

    def _check(self, directory: Path, section: DeploySection, budgets: BudgetSection) -> Checked:
        bundle = proven_bundle(directory, section.limits)
        promoted_then = in_force(home_of(directory))
        promoted, note = find_promoted(bundle, section)
        runs, theirs = self._measure(bundle, promoted.bundle if promoted else None, section)
        figures, machine = figures_of(runs, section), this_machine()
        notes = [note] if note else []
        baseline = None
        if promoted is not None:
            baseline = baseline_of(promoted, figures, theirs, section, machine, runs[0].rate_per_second)
            if baseline is None:
                notes.append(f"not compared with the promoted bundle {promoted.record.bundle}: {promoted.note}")
        return Checked(assemble(bundle, section, budgets, runs, figures, machine, baseline, promoted_then, notes), runs)

    def _measure(
        self, bundle: Bundle, promoted: Bundle | None, section: DeploySection
    ) -> tuple[list[LoadRun], list[LoadRun]]:
        """The repeats of the bundle, in turns with those of the promoted one, all at one rate."""
        mine: list[LoadRun] = []
        theirs: list[LoadRun] = []
        rate = section.offered_rate()
        for repeat in range(section.load.repeats):
            for place, runs in ((bundle, mine), (promoted, theirs)):
                if place is None:
                    continue
                trace(self._bus, COMPONENT, "performance_test", export_path=str(place.directory), repeat=repeat + 1)
                job = LoadJob(
                    bundle=place.directory.absolute(),
                    load=section.load,
                    limits=section.limits,
                    rate_per_second=rate,
                    repeat=repeat,
                )
                found = run_job(job, stop_reason=self._stop_reason)
                rate = found.rate_per_second
                runs.append(found)
        return mine, theirs


def result_of(report: DeployReport) -> DeploymentValidatorResult:
    """The component's result: mean latency, requests per second and resident memory, medians of the repeats."""
    return DeploymentValidatorResult(
        validation_id=report.validation_id,
        passed=report.passed,
        test_results=DeploymentTestResults(
            avg_latency_ms=report.figure("latency_mean_ms").median,
            throughput_qps=report.figure("requests_per_second").median,
            memory_usage_mb=report.figure("rss_mb").median,
        ),
        deployment_ready=report.passed,
    )
