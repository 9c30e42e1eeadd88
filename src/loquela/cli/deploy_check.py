"""`loquela deploy-check`: may this bundle go out?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, load, set_option
from loquela.cli.output import emit_json, table, tell_notes

if TYPE_CHECKING:
    from loquela.evaluation.deployment.report import DeployReport
    from loquela.evaluation.deployment.validator import Checked
    from loquela.recipe.schema import Recipe


@click.command(
    "deploy-check",
    epilog="\b\nExample:\n  loquela deploy-check data/runs/RUN/exports/onnx-int8 --requirements requirements.yaml\n"
    "  loquela deploy-check BUNDLE --set deploy.max_latency_ms=200 --set deploy.min_throughput_qps=5",
)
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "--requirements",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A recipe, or a file with its section deploy alone; left out: the budgets of evaluate.budgets.",
)
@set_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the reports go; default: checks/ of the run, or beside",
)
@json_option
def command(
    bundle: Path, requirements: Path | None, overrides: tuple[str, ...], output: Path | None, as_json: bool
) -> None:
    """Prove that an exported bundle is whole, right and fast enough.

    Every file by its digest; then, in fresh processes with limits: golden prompts token for token, and requests that
    arrive whether or not the last one was answered. Judged against the requirements and the promoted bundle. A bundle
    that does not pass exits with 5, its reports written.
    """
    recipe = load(requirements, overrides).recipe
    place, checked = _check(bundle, recipe, output)
    if as_json and checked.report.passed:
        emit_json(checked.report.model_dump(mode="json"))
    elif not as_json:
        show_report(checked.report)
        click.echo(f"report: {place}")
        if checked.report.passed:
            click.echo("next:")
            click.echo(f"  loquela promote {shlex.quote(str(bundle))}")
    checked.raise_if_failed(place)


def _check(bundle: Path, recipe: Recipe, output: Path | None) -> tuple[Path, Checked]:
    from loquela.evaluation.deployment.promotion import check_folder
    from loquela.evaluation.deployment.report import PAGE_NAME
    from loquela.evaluation.deployment.validator import DeploymentValidator
    from loquela.evaluation.deployment.writing import write_check
    from loquela.monitoring.events import SilentBus
    from loquela.recipe.deploy_section import DeploySection
    from loquela.runs.signals import stop_on_signals

    place = output or check_folder(bundle)
    with stop_on_signals() as stop:
        validator = DeploymentValidator(SilentBus(), stop_reason=lambda: stop.reason)
        checked = validator.check(bundle, recipe.deploy or DeploySection(), recipe.evaluate.budgets)
    write_check(place, checked.report, checked.runs)
    return place / PAGE_NAME, checked


def show_report(report: DeployReport) -> None:
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
