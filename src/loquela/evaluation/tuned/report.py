"""The comparison for people: rows of a table, and the page `report.md`."""

from __future__ import annotations

from collections.abc import Sequence

from loquela.evaluation.tuned.bootstrap import UNITS_MIN
from loquela.evaluation.tuned.contracts import ComparisonReport, Estimate, GateReport, MetricReport, RowScores

SHOWN_ROWS = 5
# Loss this share of a general skill, and the reader should know without having set a limit.
WORTH_A_WORD = 0.2

COLUMNS = ("metric", "rows", "base", "adapter", "difference, 95 %", "verdict")


def metric_rows(report: ComparisonReport) -> list[tuple[str, ...]]:
    """One row per metric that had something to measure."""
    return paired_rows(report.metrics)


def paired_rows(metrics: Sequence[MetricReport]) -> list[tuple[str, ...]]:
    """The same for metrics alone."""
    return [
        (
            metric.name.replace("_", " "),
            str(metric.rows),
            _with_interval(metric.base),
            _with_interval(metric.adapter),
            _difference(metric.difference),
            metric.verdict,
        )
        for metric in metrics
        if metric.rows
    ]


def forgetting_rows(report: ComparisonReport) -> list[tuple[str, ...]]:
    """Kind, questions, both scores, what was lost."""
    return [
        (each.kind, str(each.questions), number(each.base), number(each.adapter), f"{each.lost:+.1%}")
        for each in report.forgetting
    ]


def harness_rows(report: ComparisonReport) -> list[tuple[str, ...]]:
    """Task, metric, both numbers with the harness's own errors."""
    return [
        (
            each.task,
            each.metric,
            _with_error(each.base, each.base_error),
            _with_error(each.adapter, each.adapter_error),
        )
        for each in report.harness
    ]


def gate_rows(gates: Sequence[GateReport]) -> list[tuple[str, ...]]:
    """Limit by limit."""
    return [(gate.name, number(gate.measured), f"{gate.limit:g}", "met" if gate.passed else "MISSED") for gate in gates]


def headline(report: ComparisonReport) -> str:
    """What was compared, on what."""
    of = f"{report.rows} of {report.rows_total}" if report.rows < report.rows_total else f"{report.rows}"
    return f"{report.base} against its adapter on {of} {report.split} rows"


def notes_for(metrics: Sequence[MetricReport], report: ComparisonReport) -> list[str]:
    """What a reader of the table should not miss."""
    notes = [f"{count} row(s) left out: {reason}" for reason, count in report.left_out.items()]
    unmeasured = [metric.name for metric in metrics if not metric.rows]
    if unmeasured:
        notes.append(f"no row to measure on: {', '.join(unmeasured)}")
    few = [
        metric.name for metric in metrics if metric.rows and metric.verdict == "unclear" and metric.units < UNITS_MIN
    ]
    if few:
        notes.append(f"fewer than {UNITS_MIN} rows, too few for a verdict: {', '.join(few)}")
    return notes + [
        f"forgetting: {each.kind} went from {number(each.base)} to {number(each.adapter)}"
        for each in report.forgetting
        if each.lost > WORTH_A_WORD
    ]


def report_markdown(report: ComparisonReport, rows: Sequence[RowScores]) -> str:
    """The whole page; `rows` are those shown with their answers."""
    parts = [f"# {headline(report)}\n"]
    parts += [f"- {note}" for note in report.notes]
    parts += ["", "## Metrics\n", _table(COLUMNS, metric_rows(report))]
    parts.append("Mean over the rows that a metric speaks of, with the 95 % interval of a paired bootstrap.\n")
    if report.forgetting:
        columns = ("general questions", "number", "base", "adapter", "lost")
        parts += ["## Forgetting\n", _table(columns, forgetting_rows(report))]
    if report.harness:
        parts += ["## lm-evaluation-harness\n", _table(("task", "metric", "base", "adapter"), harness_rows(report))]
    if rows:
        parts += ["## Answers\n", *map(_shown, rows)]
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(columns)
    return "\n".join([f"| {' | '.join(row)} |" for row in (columns, rule, *rows)]) + "\n"


def _shown(row: RowScores) -> str:
    said = {"asked": row.question, "expected": row.reference or "", "base": row.base, "adapter": row.adapter}
    lines = [f"> **{name}** {' '.join(text.split())[:400]}" for name, text in said.items()]
    return "\n>\n".join(lines) + "\n"


def number(value: float | None) -> str:
    """Four digits, or a dash."""
    return "–" if value is None else f"{value:.4g}"


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def _difference(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{estimate.value:+.4g} [{estimate.low:+.4g}, {estimate.high:+.4g}]"


def _with_error(value: float, error: float | None) -> str:
    return number(value) if error is None else f"{number(value)} ± {error:.2g}"
