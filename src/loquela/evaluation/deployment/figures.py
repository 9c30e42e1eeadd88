"""From requests to numbers: one figure a repeat, then the median and the spread of the repeats."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import get_args

import numpy as np

from loquela.evaluation.deployment.job import LoadRun, ServedRequest
from loquela.evaluation.deployment.report import Figure, FigureName
from loquela.recipe.deploy_section import DeploySection

NAMES: tuple[FigureName, ...] = get_args(FigureName)


def figures_of(runs: Sequence[LoadRun], requirements: DeploySection) -> list[Figure]:
    """Every figure over `runs`, in the order of `FigureName`."""
    rows = [repeat_figures(run, requirements) for run in runs]
    return [
        Figure(
            name=name,
            median=statistics.median(row[name] for row in rows),
            low=min(row[name] for row in rows),
            high=max(row[name] for row in rows),
        )
        for name in NAMES
    ]


def repeat_figures(run: LoadRun, requirements: DeploySection) -> dict[FigureName, float]:
    """The figures of one repeat.

    Latency and time to first token are of answered requests, in milliseconds since their arrival (0 where none was
    answered: then the error rate is 1). Requests and tokens per second are over the whole load, waiting included;
    `generation_tokens_per_second` is over the time spent answering.
    """
    answered = [request for request in run.requests if request.error is None]
    latencies = [latency_ms(request) for request in answered]
    first = [first_token_ms(request) for request in answered]
    tokens = sum(request.tokens for request in answered)
    good = sum(meets_objectives(request, requirements) for request in answered)
    return {
        **_spread("latency", latencies),
        **_spread("ttft", first),
        "token_gap_mean_ms": run.gaps.mean,
        "token_gap_p50_ms": run.gaps.p50,
        "token_gap_p95_ms": run.gaps.p95,
        "token_gap_p99_ms": run.gaps.p99,
        "requests_per_second": len(answered) / run.seconds,
        "tokens_per_second": tokens / run.seconds,
        "generation_tokens_per_second": tokens / run.busy_seconds if run.busy_seconds else 0.0,
        "error_rate": 1 - len(answered) / len(run.requests),
        "goodput": good / len(run.requests),
        "cold_start_seconds": run.cold_start_seconds,
        "loaded_mb": run.loaded_mb,
        "rss_mb": run.rss_mb,
        "peak_mb": run.peak_mb,
    }


def latency_ms(request: ServedRequest) -> float:
    """Milliseconds from arrival to last token of an answered request."""
    return 1000 * ((request.finished or 0.0) - request.arrived)


def first_token_ms(request: ServedRequest) -> float:
    """Milliseconds from arrival to first token of an answered request."""
    return 1000 * ((request.first_token or 0.0) - request.arrived)


def meets_objectives(request: ServedRequest, requirements: DeploySection) -> bool:
    """Whether an answered request was as fast as the recipe asks of every one; true where it asks nothing."""
    whole, first = requirements.max_latency_ms, requirements.max_ttft_ms
    return (whole is None or latency_ms(request) <= whole) and (first is None or first_token_ms(request) <= first)


def _spread(what: str, values: Sequence[float]) -> dict[FigureName, float]:
    if not values:
        mean = p50 = p95 = p99 = 0.0
    else:
        mean = float(np.mean(values))
        # Nearest rank: the smallest value that the share does not exceed.
        p50, p95, p99 = (float(value) for value in np.quantile(values, (0.50, 0.95, 0.99), method="inverted_cdf"))
    if what == "latency":
        return {"latency_mean_ms": mean, "latency_p50_ms": p50, "latency_p95_ms": p95, "latency_p99_ms": p99}
    return {"ttft_mean_ms": mean, "ttft_p50_ms": p50, "ttft_p95_ms": p95, "ttft_p99_ms": p99}
