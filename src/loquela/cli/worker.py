"""`loquela worker`: one more pair of hands."""

from __future__ import annotations

import json
from pathlib import Path

import click

from loquela.cli.options import json_option
from loquela.cli.service_options import data_option, load, settings_option


@click.command("worker", epilog="\b\nExample:\n  loquela worker --data loquela-data")
@data_option
@settings_option
@click.option("--parent", type=int, metavar="PID", help="Save and stop when this process is gone.")
@json_option
def command(data: Path | None, settings_file: Path | None, parent: int | None, as_json: bool) -> None:
    """Work on the runs that a service has queued.

    One at a time, until Ctrl+C; what is in work is saved first. Any number of workers may share a service. One on
    another machine needs the same database by URL (LOQUELA_DATABASE_URL) and the same data folder.
    """
    settings = load(settings_file, data=None if data is None else str(data))
    from loquela.security.own_process import keep_private
    from loquela.worker.serving import work

    keep_private()

    if parent is None:
        said = {"data": str(settings.data), "database": settings.shown_database}
        click.echo(json.dumps(said) if as_json else f"Working on {settings.shown_database}; Ctrl+C saves and stops.")
    work(settings, parent)
