"""`loquela keys`: who may ask a service, and for what."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.output import emit_json
from loquela.cli.service_options import data_option, load, settings_option

if TYPE_CHECKING:
    from loquela.service.keys import KeyRecord, KeyStore

SCOPES = ("read", "run", "infer", "admin")


@click.group("keys", epilog="\b\nExample:\n  loquela keys create bot --scope read\n  loquela keys list")
def command() -> None:
    """Make, list and revoke the keys of a service.

    A key is shown once; the service keeps a digest.
    """


@command.command("create", epilog="\b\nExample:\n  loquela keys create bot --scope read --days 30")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=["read"],
    show_default=True,
    help="What it may do; may be repeated. admin may do everything.",
)
@click.option("--project", help="Bind it to a project: it sees and makes only what is of that.")
@click.option("--days", type=click.IntRange(1, 3650), help="Until it expires; without it, it does not.")
@data_option
@settings_option
@json_option
def create(
    name: str,
    scopes: tuple[str, ...],
    project: str | None,
    days: int | None,
    data: Path | None,
    settings_file: Path | None,
    as_json: bool,
) -> None:
    """Make a key and show it, this once. A key of no project sees what is of any."""
    from loquela.service.keys import Scope

    expires_at = None if days is None else time.time() + days * 86_400
    chosen = [Scope(scope) for scope in scopes]
    key, record = _store(data, settings_file).create(name, chosen, project=project, expires_at=expires_at)
    if as_json:
        emit_json({"key": key.text, **record.model_dump(mode="json")})
        return
    click.echo(key.text)
    within = f" in the project {record.project}" if record.project is not None else ""
    click.echo(f"  id {record.id}, may {', '.join(record.scopes)}{within}; it cannot be shown again", err=True)


@command.command("list", epilog="\b\nExample:\n  loquela keys list --json")
@data_option
@settings_option
@json_option
def list_keys(data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Show all keys; the keys themselves are not kept."""
    records = _store(data, settings_file).list()
    if as_json:
        emit_json([record.model_dump(mode="json") for record in records])
        return
    for record in records:
        state = "revoked" if record.revoked_at else f"until {_day(record.expires_at)}" if record.expires_at else "valid"
        project = record.project or "-"
        click.echo(f"{record.id}  {state:<17}  {', '.join(record.scopes):<20}  {project:<12}  {record.name}")


@command.command("revoke", epilog="\b\nExample:\n  loquela keys revoke 1wO7znuS")
@click.argument("key_id", metavar="ID")
@data_option
@settings_option
@json_option
def revoke(key_id: str, data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """End a key at once; open streams end within seconds."""
    record: KeyRecord = _store(data, settings_file).revoke(key_id)
    if as_json:
        emit_json(record.model_dump(mode="json"))
        return
    click.echo(f"{record.id} ({record.name}) is revoked")


def _store(data: Path | None, settings_file: Path | None) -> KeyStore:
    settings = load(settings_file, data=None if data is None else str(data))
    from loquela.service.parts import make_parts

    return make_parts(settings).keys


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
