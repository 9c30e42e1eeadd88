"""Verdicts: what was measured against what is required, and against the promoted bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from loquela.evaluation.deployment.report import Comparison, Figure, FigureName, Verdict
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection

Relation = Literal["at most", "at least"]

# What is held against the promoted bundle; less is better. Medians over requests: a tail of a few dozen of them is made
# by the machine as much as by the bundle, and requirements judge it. Nor is the cold start, which is the disk's, too.
COMPARED: tuple[FigureName, ...] = ("latency_p50_ms", "ttft_p50_ms", "token_gap_p50_ms", "rss_mb", "peak_mb")


def verdicts_on(figures: Sequence[Figure], section: DeploySection, budgets: BudgetSection) -> list[Verdict]:
    """One verdict for each requirement that is made; medians are judged."""
    medians = {figure.name: figure.median for figure in figures}
    required: list[tuple[str, FigureName, Relation, float | None]] = [
        ("deploy.max_latency_ms", "latency_p95_ms", "at most", section.max_latency_ms),
        ("deploy.min_throughput_qps", "requests_per_second", "at least", section.min_throughput_qps),
        ("deploy.max_ttft_ms", "ttft_p95_ms", "at most", section.max_ttft_ms),
        ("deploy.min_goodput", "goodput", "at least", section.min_goodput),
        ("deploy.max_error_rate", "error_rate", "at most", section.max_error_rate),
        ("deploy.max_cold_start_seconds", "cold_start_seconds", "at most", section.max_cold_start_seconds),
    ]
    owner = "evaluate" if section.budgets is None else "deploy"
    required += [
        (f"{owner}.budgets.latency_p95_ms", "token_gap_p95_ms", "at most", budgets.latency_p95_ms),
        (
            f"{owner}.budgets.tokens_per_second",
            "generation_tokens_per_second",
            "at least",
            budgets.tokens_per_second,
        ),
        (f"{owner}.budgets.rss_mb", "rss_mb", "at most", budgets.rss_mb),
        (f"{owner}.budgets.peak_mb", "peak_mb", "at most", budgets.peak_mb),
    ]
    return [
        _verdict(key, figure, medians[figure], relation, limit)
        for key, figure, relation, limit in required
        if limit is not None
    ]


def _verdict(key: str, figure: FigureName, measured: float, relation: Relation, limit: float) -> Verdict:
    met = measured <= limit if relation == "at most" else measured >= limit
    return Verdict(key=key, figure=figure, measured=measured, limit=limit, relation=relation, met=met)


def compare(here: Sequence[Figure], promoted: Sequence[Figure], allowed: float) -> list[Comparison]:
    """Every compared figure of two bundles.

    One regressed when its median is worse by more than the share `allowed`, and its best repeat is worse than the
    promoted bundle's worst: what lies within the spread of the repeats is noise.
    """
    mine = {figure.name: figure for figure in here}
    theirs = {figure.name: figure for figure in promoted}
    comparisons = []
    for name in COMPARED:
        a, b = mine[name], theirs[name]
        if b.median <= 0:
            continue
        worse_by = a.median / b.median - 1
        regressed = worse_by > allowed and a.low > b.high
        comparisons.append(Comparison(figure=name, here=a, promoted=b, worse_by=worse_by, regressed=regressed))
    return comparisons
