"""From figures to the report: verdicts, the comparison with the promoted bundle, failures, notes."""

from __future__ import annotations

from collections.abc import Sequence

from loquela.artifacts.bundle import Bundle
from loquela.evaluation.deployment.baseline import Promoted, comparable
from loquela.evaluation.deployment.contents import size_mb
from loquela.evaluation.deployment.figures import figures_of
from loquela.evaluation.deployment.job import GoldenMismatch, LoadRun
from loquela.evaluation.deployment.judging import compare, verdicts_on
from loquela.evaluation.deployment.report import Baseline, DeployReport, Figure, Machine, Verdict
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection


def baseline_of(
    promoted: Promoted,
    figures: Sequence[Figure],
    theirs: Sequence[LoadRun],
    section: DeploySection,
    machine: Machine,
    rate_per_second: float,
) -> Baseline | None:
    """The comparison with the promoted bundle; None where it is gone and its record was made under other conditions."""
    record = promoted.record
    if not theirs and not comparable(record, machine, section.load, rate_per_second):
        return None
    return Baseline(
        bundle=record.bundle,
        bundle_digest=record.bundle_digest,
        measured="now" if theirs else "when it was promoted",
        comparisons=compare(figures, figures_of(theirs, section) if theirs else record.figures, section.max_regression),
    )


def assemble(
    bundle: Bundle,
    section: DeploySection,
    budgets: BudgetSection,
    runs: Sequence[LoadRun],
    figures: list[Figure],
    machine: Machine,
    baseline: Baseline | None,
    promoted_then: str,
    notes: list[str],
) -> DeployReport:
    """The report with its verdicts, failures and digest."""
    facts = bundle.facts
    golden = next((run.golden for run in runs if run.golden.mismatches), runs[0].golden)
    verdicts = verdicts_on(figures, section, budgets)
    failures = _failures(golden.mismatches, verdicts, baseline, section.max_regression)
    report = DeployReport(
        bundle=str(bundle.directory.absolute()),
        bundle_digest=bundle.manifest.digest,
        format=facts.format,
        quantization=facts.quantization,
        scheme=facts.scheme,
        runtime=facts.runtime,
        parameters=facts.parameters,
        size_mb=size_mb(bundle),
        requirements=section,
        machine=machine,
        rate_per_second=runs[0].rate_per_second,
        requests=len(runs[0].requests),
        golden=golden,
        figures=figures,
        verdicts=verdicts,
        baseline=baseline,
        promoted_then=promoted_then,
        failures=failures,
        notes=[*notes, *_notes(runs, section)],
        passed=not failures,
    )
    report.record_digest = report.own_digest()
    return report


def _failures(
    mismatches: Sequence[GoldenMismatch], verdicts: Sequence[Verdict], baseline: Baseline | None, allowed: float
) -> list[str]:
    failures = [
        f"golden prompt {found.prompt}: token {found.position} of what it writes is {found.written}, "
        f"not {found.expected}"
        for found in mismatches
    ]
    failures += [verdict.sentence() for verdict in verdicts if not verdict.met]
    if baseline is not None:
        failures += [
            f"{found.figure} is {found.here.median:.4g}, {found.worse_by:.0%} worse than the "
            f"{found.promoted.median:.4g} of the promoted bundle {baseline.bundle}; deploy.max_regression allows "
            f"{allowed:.0%}"
            for found in baseline.comparisons
            if found.regressed
        ]
    return failures


def _notes(runs: Sequence[LoadRun], section: DeploySection) -> list[str]:
    notes = []
    if cut := runs[0].cut_prompts:
        notes.append(f"{cut} of the prompts were longer than the context allows and lost their beginnings under load")
    if len(runs[0].requests) < section.load.requests:
        notes.append(
            f"{len(runs[0].requests)} requests a repeat, not {section.load.requests}: more would not have arrived "
            f"within {section.load.max_seconds:g} seconds"
        )
    reasons = {request.error for run in runs for request in run.requests if request.error}
    return notes + [f"requests without an answer: {reason}" for reason in sorted(reasons)[:3]]
