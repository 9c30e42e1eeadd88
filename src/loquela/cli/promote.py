"""`loquela promote`: this bundle is the one in use."""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.options import json_option
from loquela.cli.outcomes import show_promotion
from loquela.cli.output import emit_json
from loquela.cli.remote.service import service_in_use


@click.command("promote", epilog="\b\nExample:\n  loquela promote data/runs/RUN/exports/onnx-int8")
@click.argument("bundle", metavar="BUNDLE")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The deploy_report.json of its check; default: the newest in the checks/ or the run of the bundle.",
)
@json_option
def command(bundle: str, report: Path | None, as_json: bool) -> None:
    """Mark the bundle that passed its check as the one in use.

    The record, checks/promoted.json, names bundle and report by digest; later checks compare with it.
    Refused for a bundle that did not pass, or was changed since. With --server, BUNDLE is RUN/EXPORT, e.g.
    latest/onnx-int8.
    """
    client = service_in_use("report")
    if client is not None:
        from loquela.cli.remote.on_run import promote as promote_there

        promote_there(client, bundle, as_json=as_json)
        return
    from loquela.evaluation.deployment.promotion import CHECKS_FOLDER, PROMOTED_NAME, home_of, promote

    place = Path(bundle)
    record = promote(place, report)
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        show_promotion(record, str(home_of(place) / CHECKS_FOLDER / PROMOTED_NAME))
