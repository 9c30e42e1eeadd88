"""`loquela serve`: the service in one command."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.service_options import data_option, load, settings_option

if TYPE_CHECKING:
    from loquela.jobs.settings import ServiceSettings
    from loquela.service.serving import Announcement


@click.command("serve", epilog="\b\nExample:\n  loquela serve\n  loquela serve --port 0 --data 'my service/'")
@data_option
@settings_option
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes any free one.  [default: 8040]")
@click.option("--workers", type=click.IntRange(0, 64), help="Worker processes beside the API.  [default: 1]")
@json_option
def command(
    data: Path | None,
    settings_file: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Serve runs over HTTP: API, a worker and its database in one folder.

    Every request needs a key. The first one is kept in DIR/keys/owner.key and shown once, on a terminal only; so is a
    link that opens a session in a browser, once. Ctrl+C lets the trainers save and ends it; the next start goes on
    with them. A settings file that changes is read again, as far as it may while the service runs.
    """

    def read() -> ServiceSettings:
        return load(settings_file, data=None if data is None else str(data), host=host, port=port, workers=workers)

    settings = read()
    from loquela.security.own_process import keep_private
    from loquela.service.serving import serve

    keep_private()

    files = [Path(".env"), *([settings_file] if settings_file is not None else [])]
    serve(settings, _tell_json if as_json else _tell, read, files)


def _tell_json(announcement: Announcement) -> None:
    click.echo(json.dumps({**asdict(announcement)}, default=str))


def _tell(announcement: Announcement) -> None:
    click.echo(f"Loquela listens on {announcement.address}, data in {announcement.data}")
    # Only to a person: what goes into a pipe ends in somebody's log.
    if sys.stdout.isatty():
        click.echo(f"  open once, within 15 minutes:  {announcement.login_link}")
        if announcement.new_key is not None:
            click.echo(f"  key, shown this once:          {announcement.new_key}")
    click.echo(f"  key for this machine in        {announcement.key_file}")
    if announcement.in_the_clear:
        click.echo("  keys travel in the clear: put a proxy that speaks TLS before it, or give it certificate files")
    click.echo("  Ctrl+C stops it; runs save first and go on at the next start.")
