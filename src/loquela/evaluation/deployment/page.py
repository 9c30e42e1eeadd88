"""The report as one page of HTML that needs nothing from elsewhere: no scripts, no fonts, no pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from loquela.evaluation.deployment.charts import COLOURS, cumulative, gauge, scatter
from loquela.evaluation.deployment.figures import first_token_ms, latency_ms
from loquela.evaluation.deployment.job import LoadRun
from loquela.evaluation.deployment.page_style import STYLE
from loquela.evaluation.deployment.report import DeployReport

# More points than a chart has room for are thinned out, evenly.
MOST_POINTS = 1500

LABELS = {
    "latency": "latency, ms",
    "ttft": "time to first token, ms",
    "token_gap": "between two tokens, ms",
    "requests_per_second": "requests per second",
    "tokens_per_second": "tokens per second",
    "generation_tokens_per_second": "tokens per second while answering",
    "error_rate": "share of requests without an answer",
    "goodput": "share of requests that met every objective",
    "cold_start_seconds": "cold start, seconds",
    "loaded_mb": "resident memory when loaded, MB",
    "rss_mb": "resident memory after the load, MB",
    "peak_mb": "peak memory, MB",
}
STATISTICS = {"mean": "mean", "p50": "median", "p95": "95 %", "p99": "99 %"}


def deploy_page(report: DeployReport, runs: Sequence[LoadRun]) -> str:
    """The page of `report`; `runs` hold the requests that its charts show."""
    name = report.bundle.rstrip("/").rpartition("/")[2]
    parts = [
        f"<h1>Deployment check of {escape(name)}</h1>",
        f'<p class="soft">{escape(report.bundle)}<br>{report.bundle_digest}</p>',
        *_outcome(report),
        *_numbers(report),
        *_verdicts(report),
        *_charts(report, runs),
        *_baseline(report),
        *_figures(report),
        *_conditions(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Deployment check of {escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def label(figure: str) -> str:
    """The name of a figure for people."""
    for prefix, words in LABELS.items():
        if figure == prefix:
            return words
        for suffix, statistic in STATISTICS.items():
            if figure == f"{prefix}_{suffix}_ms":
                return f"{words}: {statistic}"
    return figure


def number(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _outcome(report: DeployReport) -> Iterator[str]:
    if report.passed:
        yield '<div class="outcome"><b>Passed</b><p>Every golden token and every requirement holds.</p></div>'
        return
    reasons = "".join(f"<li>{escape(failure)}</li>" for failure in report.failures)
    yield f'<div class="outcome failed"><b>Did not pass</b><ul>{reasons}</ul></div>'


def _numbers(report: DeployReport) -> Iterator[str]:
    right = report.golden.prompts - len(report.golden.mismatches)
    numbers = [
        ("format", report.format if report.quantization == "none" else f"{report.format} {report.quantization}"),
        ("runtime", report.runtime),
        ("size", f"{report.size_mb:,.1f} MB"),
        ("golden prompts token-exact", f"{right} of {report.golden.prompts}"),
        ("p95 latency", f"{number(report.figure('latency_p95_ms').median)} ms"),
        ("p95 time to first token", f"{number(report.figure('ttft_p95_ms').median)} ms"),
        ("tokens/s while answering", number(report.figure("generation_tokens_per_second").median)),
        ("peak memory", f"{number(report.figure('peak_mb').median)} MB"),
    ]
    cells = "".join(f"<li><b>{escape(value)}</b>{name}</li>" for name, value in numbers)
    yield f'<ul class="numbers">{cells}</ul>'


def _verdicts(report: DeployReport) -> Iterator[str]:
    yield "<h2>Requirements</h2>"
    rows = "".join(
        f"<tr><td>{escape(label(verdict.figure))}</td><td class='n'>{number(verdict.measured)}</td>"
        f"<td class='n'>{verdict.relation} {verdict.limit:g}</td>"
        f"<td>{gauge(verdict.measured, verdict.limit, met=verdict.met)}</td>"
        f"<td class='{'met' if verdict.met else 'missed'}'>{'met' if verdict.met else 'missed'}</td>"
        f"<td class='soft'>{escape(verdict.key)}</td></tr>"
        for verdict in report.verdicts
    )
    head = "<th>what</th><th class='n'>measured</th><th class='n'>required</th><th></th><th>verdict</th><th>key</th>"
    yield f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _charts(report: DeployReport, runs: Sequence[LoadRun]) -> Iterator[str]:
    answered = [[request for request in run.requests if request.error is None] for run in runs]
    step = max(1, sum(map(len, answered)) // MOST_POINTS)
    points = [[(request.arrived, latency_ms(request)) for request in group[::step]] for group in answered]
    missing = [request.arrived for run in runs for request in run.requests if request.error is not None]
    objective = report.requirements.max_latency_ms
    everyone = [request for group in answered for request in group][::step]
    yield f"<h2>Under {number(report.rate_per_second)} requests per second</h2>"
    yield '<div class="charts"><figure><figcaption>Latency of every request</figcaption>'
    yield scatter(points, missing[:MOST_POINTS], objective, "latency of every request over the time of its arrival")
    repeats = [f'<span class="c{index % COLOURS + 1}">repeat {index + 1}</span>' for index in range(len(runs))]
    yield f'<div class="key">{"".join(repeats)}</div></figure>'
    yield "<figure><figcaption>Share of requests answered within</figcaption>"
    curves = [("last token", [*map(latency_ms, everyone)]), ("first token", [*map(first_token_ms, everyone)])]
    yield cumulative(curves, objective, "share of requests that were answered within a time")
    keys = [f'<span class="c{index + 1}">{name}</span>' for index, (name, _) in enumerate(curves)]
    yield f'<div class="key">{"".join(keys)}</div></figure></div>'


def _baseline(report: DeployReport) -> Iterator[str]:
    if report.baseline is None:
        return
    found = report.baseline
    yield f"<h2>Against the promoted bundle {escape(found.bundle)}</h2>"
    yield f'<p class="soft">{found.bundle_digest}, measured {found.measured}</p>'
    rows = "".join(
        f"<tr><td>{escape(label(each.figure))}</td><td class='n'>{number(each.here.median)}</td>"
        f"<td class='n'>{number(each.promoted.median)}</td><td class='n'>{abs(each.worse_by):.1%} "
        f"{'worse' if each.worse_by > 0 else 'better'}</td>"
        f"<td class='{'missed' if each.regressed else 'met'}'>{'regressed' if each.regressed else 'held'}</td></tr>"
        for each in found.comparisons
    )
    head = (
        "<th>what</th><th class='n'>here</th><th class='n'>promoted</th><th class='n'>difference</th><th>verdict</th>"
    )
    yield f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _figures(report: DeployReport) -> Iterator[str]:
    yield "<h2>Everything measured</h2>"
    rows = "".join(
        f"<tr><td>{escape(label(figure.name))}</td><td class='n'>{number(figure.median)}</td>"
        f"<td class='n'>{number(figure.low)}</td><td class='n'>{number(figure.high)}</td></tr>"
        for figure in report.figures
    )
    head = "<th>what</th><th class='n'>median of repeats</th><th class='n'>least</th><th class='n'>most</th>"
    yield f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _conditions(report: DeployReport) -> Iterator[str]:
    load, machine = report.requirements.load, report.machine
    yield "<h2>How it was measured</h2>"
    gaps = "a Poisson process" if load.arrivals == "poisson" else "even gaps"
    yield (
        f"<p>{load.repeats} repeats, each in a fresh process with limits; {report.requests} requests a repeat, "
        f"arriving by {gaps} (seed {load.seed}) whether or not the last one was answered; "
        f"{load.new_tokens} greedy tokens each. Latency and time to first token count from the arrival, "
        "waiting included.</p>"
    )
    yield (
        f'<p class="soft">{escape(machine.processor)}, {machine.cores} cores, {machine.memory_mb:,} MB, '
        f"{escape(machine.system)}, Python {escape(machine.python)}; {report.created:%Y-%m-%d %H:%M} UTC; "
        f"check {report.validation_id}</p>"
    )
    yield from (f'<p class="soft">{escape(note)}</p>' for note in report.notes)
