"""`loquela deploy-check`: may this bundle go out?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, load, set_option
from loquela.cli.outcomes import show_check
from loquela.cli.output import emit_json
from loquela.cli.remote.service import service_in_use

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.evaluation.deployment.validator import Checked
    from loquela.recipe.schema import Recipe

BUDGETS = "evaluate.budgets."
GIVEN = ("file", "environment", "set")


@click.command(
    "deploy-check",
    epilog="\b\nExample:\n  loquela deploy-check data/runs/RUN/exports/onnx-int8 --requirements requirements.yaml\n"
    "  loquela deploy-check BUNDLE --set deploy.max_latency_ms=200 --set deploy.min_throughput_qps=5",
)
@click.argument("bundle", metavar="BUNDLE")
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
    bundle: str, requirements: Path | None, overrides: tuple[str, ...], output: Path | None, as_json: bool
) -> None:
    """Prove that an exported bundle is whole, right and fast enough.

    Every file by its digest; then, in fresh processes with limits: golden prompts token for token, and requests that
    arrive whether or not the last one was answered. Judged against the requirements and the promoted bundle. A bundle
    that does not pass exits with 5, its reports written.

    With --server, BUNDLE is RUN/EXPORT, e.g. latest/onnx-int8; without requirements those of the run's recipe count.
    """
    client = service_in_use("output")
    if client is not None:
        from loquela.cli.remote.on_run import deploy_check

        deploy_check(client, bundle, _asked(requirements, overrides), as_json=as_json)
        return
    recipe = load(requirements, overrides).recipe
    place, checked = _check(Path(bundle), recipe, output)
    if as_json and checked.report.passed:
        emit_json(checked.report.model_dump(mode="json"))
    elif not as_json:
        show_check(checked.report)
        click.echo(f"report: {place}")
        if checked.report.passed:
            click.echo("next:")
            click.echo(f"  loquela promote {shlex.quote(bundle)}")
    checked.raise_if_failed(place)


def _asked(requirements: Path | None, overrides: tuple[str, ...]) -> dict[str, JsonValue]:
    """What the options ask of a bundle at a service; what they leave open is not sent."""
    if requirements is None and not overrides:
        return {}
    resolved = load(requirements, overrides)
    section = resolved.recipe.deploy
    asked: dict[str, JsonValue] = {}
    if section is not None:
        asked["requirements"] = section.model_dump(mode="json", exclude_unset=True)
    budgets = [key for key, origin in resolved.origins.items() if origin.kind in GIVEN and key.startswith(BUDGETS)]
    if budgets:
        asked["budgets"] = resolved.recipe.evaluate.budgets.model_dump(mode="json")
    return asked


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
