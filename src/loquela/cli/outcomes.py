"""What was exported, checked, promoted, merged or written down, as a person reads it: made here or at a service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from loquela.cli.output import table, tell_notes

if TYPE_CHECKING:
    from loquela.artifacts.merge_report import MergeReport
    from loquela.evaluation.deployment.promotion import Promotion
    from loquela.evaluation.deployment.report import DeployReport
    from loquela.export.contracts import ExportReport


def show_export(bundle: str, report: ExportReport, next_lines: Sequence[str]) -> None:
    """What was measured, and lines that do something with it."""
    from loquela.export.card import measurements

    title = f"{report.format}, {report.scheme}: {report.model_bytes / 1e6:.2f} MB"
    table(("measured", ""), measurements(report), title=title)
    click.echo(f"bundle:  {bundle}")
    click.echo("next:")
    for line in next_lines:
        click.echo(f"  {line}")


def show_check(report: DeployReport) -> None:
    """The verdicts and what stands behind them, as tables."""
    from loquela.evaluation.deployment.page import label, number

    right = report.golden.prompts - len(report.golden.mismatches)
    what = (
        f"{report.format}, {report.scheme}, {report.runtime}; {report.parameters:,} parameters, {report.size_mb:.1f} MB"
    )
    click.echo(f"{Path(report.bundle).name}: {what}")
    click.echo(f"golden prompts: {right} of {report.golden.prompts} token-exact ({report.golden.tokens} tokens)")
    table(
        ("requirement", "measured", "least to most", "required", "verdict"),
        [
            (
                label(verdict.figure),
                number(verdict.measured),
                _spread(report, verdict.figure),
                f"{verdict.relation} {verdict.limit:g}",
                "met" if verdict.met else "MISSED",
            )
            for verdict in report.verdicts
        ],
    )
    judged = {verdict.figure for verdict in report.verdicts}
    table(
        ("also measured", "median", "least to most"),
        [
            (label(figure.name), number(figure.median), f"{number(figure.low)} to {number(figure.high)}")
            for figure in report.figures
            if figure.name not in judged
        ],
    )
    if report.baseline is not None:
        table(
            (f"against {report.baseline.bundle}", "here", "promoted", "difference", "verdict"),
            [
                (
                    label(found.figure),
                    number(found.here.median),
                    number(found.promoted.median),
                    f"{abs(found.worse_by):.1%} {'worse' if found.worse_by > 0 else 'better'}",
                    "REGRESSED" if found.regressed else "held",
                )
                for found in report.baseline.comparisons
            ],
        )
    tell_notes(report.notes)


def _spread(report: DeployReport, name: str) -> str:
    from loquela.evaluation.deployment.page import number

    found = next(figure for figure in report.figures if figure.name == name)
    return f"{number(found.low)} to {number(found.high)}"


def show_promotion(record: Promotion, place: str) -> None:
    """What is in use now, and where that is written."""
    click.echo(
        f"{record.bundle} is promoted (digest {record.bundle_digest[:12]}, {record.promoted:%Y-%m-%d %H:%M} UTC)"
    )
    click.echo(f"  {place}")


def show_merge(place: str, report: MergeReport, before: bool, run_it: str) -> None:
    """What was measured of every base, and a line that runs the model."""
    from loquela.finetuning.merging.card import IN_WORDS, measurements

    heads = [IN_WORDS[each.base] + (" (taken)" if each.base == report.chosen else "") for each in report.candidates]
    numbers = [measurements(each) for each in report.candidates]
    rows = [(row[0][0], *(value for _, value in row)) for row in zip(*numbers, strict=True)]
    table(("measured", *heads), rows, title=f"{report.reference}, {report.prompts_compared} prompts: {report.prompts}")
    click.echo(f"merged: {place}{' (was there before, whole)' if before else ''}")
    click.echo("run it:")
    click.echo(f"  {run_it}")


class Act(Protocol):
    """An entry of an audit log, read here or at a service."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def actor(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def target(self) -> str: ...


def audit_line(act: Act) -> str:
    """An entry of an audit log on one line."""
    time = datetime.fromtimestamp(act.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    who = act.actor or act.address or "a stranger"
    # What strangers wrote may hold what a terminal would obey.
    target = act.target.encode("unicode_escape").decode("ascii")
    return f"{act.seq:>6}  {time}  {who:<16}  {act.action:<14} {act.outcome:<7} {target}"
