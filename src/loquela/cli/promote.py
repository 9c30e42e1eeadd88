"""`loquela promote`: this bundle is the one in use."""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.options import json_option
from loquela.cli.output import emit_json


@click.command("promote", epilog="\b\nExample:\n  loquela promote data/runs/RUN/exports/onnx-int8")
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The deploy_report.json of its check; default: the newest in the checks/ or the run of the bundle.",
)
@json_option
def command(bundle: Path, report: Path | None, as_json: bool) -> None:
    """Mark the bundle that passed its check as the one in use.

    The record, checks/promoted.json, names bundle and report by digest; later checks compare with it.
    Refused for a bundle that did not pass, or was changed since.
    """
    from loquela.evaluation.deployment.promotion import CHECKS_FOLDER, PROMOTED_NAME, home_of, promote

    record = promote(bundle, report)
    if as_json:
        emit_json(record.model_dump(mode="json"))
        return
    click.echo(
        f"{record.bundle} is promoted (digest {record.bundle_digest[:12]}, {record.promoted:%Y-%m-%d %H:%M} UTC)"
    )
    click.echo(f"  {home_of(bundle) / CHECKS_FOLDER / PROMOTED_NAME}")
