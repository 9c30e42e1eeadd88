"""`loquela artifacts`: what a service has stored of its runs, and what may go from its data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.output import emit_json, table
from loquela.cli.remote.service import required_service, service_in_use
from loquela.cli.service_options import data_option, load, settings_option
from loquela.cli.where import ServedGroup

if TYPE_CHECKING:
    from loquela.jobs.archivist import Archivist
    from loquela.jobs.cleanup import Removal
    from loquela.jobs.settings import ServiceSettings

KINDS = ("run", "model", "tokenizer", "evaluation", "export")


@click.group(
    "artifacts",
    cls=ServedGroup,
    epilog="\b\nExample:\n  loquela artifacts list\n  loquela artifacts clean-up --dry-run",
)
def command() -> None:
    """List, download, verify, clean up and bring back what a service has stored of its runs.

    A run that has succeeded is stored as a tarball by itself while loquela serve runs.
    """


@command.command("list", epilog="\b\nExample:\n  loquela artifacts list --kind model --json")
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@data_option
@settings_option
@json_option
def list_artifacts(kind: str | None, data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Show what is stored, newest first."""
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.stored import list_stored

        list_stored(client, kind, as_json=as_json)
        return
    archivist = _archivist(_settings(data, settings_file))
    found = [each for each in archivist.rows.all() if kind is None or each.kind == kind]
    if as_json:
        emit_json([each.model_dump(mode="json") for each in found])
        return
    if not found:
        click.echo("nothing is stored yet; runs are stored when they have succeeded, while loquela serve runs")
        return
    rows = [
        (each.kind, each.subject, f"{each.size_bytes / 1e6:.1f} MB", each.sha256[:12], each.store or "data folder")
        for each in found
    ]
    table(("kind", "id", "size", "sha256", "store"), rows)


@command.command(
    "download", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 artifacts download latest --kind model"
)
@click.argument("reference", metavar="RUN|RUN/EXPORT")
@click.option(
    "--kind", type=click.Choice(KINDS[:-1]), default="model", show_default=True, help="Which part of the run."
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to; default: its id and kind, here."
)
@json_option
def download(reference: str, kind: str, output: Path | None, as_json: bool) -> None:
    """Get a part of a run, or an export, from a service as a tarball.

    What comes is compared with the SHA-256 under which it is stored; a file that is there already is never replaced.
    """
    client = required_service("download is", "here the files lie in the data folder: loquela artifacts restore RUN")
    from loquela.cli.remote import stored

    stored.download(client, reference, kind, output, as_json=as_json)


@command.command("verify", epilog="\b\nExample:\n  loquela artifacts verify")
@data_option
@settings_option
@json_option
def verify(data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Read everything back and compare size and SHA-256; the first that is damaged or missing is an error."""
    from loquela.artifacts.store.contract import prove

    archivist = _archivist(_settings(data, settings_file))
    sizes = {each.sha256: each.size_bytes for each in archivist.rows.all() if each.store == archivist.rows.store}
    for sha256, size_bytes in sizes.items():
        prove(archivist.store, sha256, size_bytes)
    if as_json:
        emit_json({"verified": len(sizes), "bytes": sum(sizes.values())})
        return
    click.echo(f"{len(sizes)} tarballs, {sum(sizes.values()) / 1e6:.1f} MB in {archivist.store.address}: all as stored")


@command.command("restore", epilog="\b\nExample:\n  loquela artifacts restore stories-20261122-130501-6ae608")
@click.argument("run_id", metavar="RUN")
@data_option
@settings_option
@json_option
def restore(run_id: str, data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Bring the folders of a cleaned run back, proven."""
    archivist = _archivist(_settings(data, settings_file))
    archivist.rows.get("run", run_id)
    folder = archivist.model_folder(run_id)
    if as_json:
        emit_json({"run_id": run_id, "directory": str(folder)})
        return
    click.echo(f"{folder} is whole")


@command.command("store", epilog="\b\nExample:\n  loquela artifacts store latest")
@click.argument("reference", metavar="RUN")
@data_option
@settings_option
@json_option
def store(reference: str, data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Store a run now: one of the command line, say, which nobody stores by itself. It is never cleaned for that."""
    from loquela.runs.store import RunStore

    archivist = _archivist(_settings(data, settings_file))
    run_id = RunStore(archivist.data).open(reference).name
    archivist.store_run(run_id)
    whole = archivist.rows.get("run", run_id)
    if as_json:
        emit_json(whole.model_dump(mode="json"))
        return
    click.echo(f"{run_id} is stored: {whole.size_bytes / 1e6:.1f} MB, sha256 {whole.sha256}")


@command.command("clean-up", epilog="\b\nExample:\n  loquela artifacts clean-up --dry-run")
@click.option("--dry-run", is_flag=True, help="Remove nothing; show what would go.")
@data_option
@settings_option
@json_option
def clean_up(dry_run: bool, data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Remove what is stored, can be made again, or is used by nobody, as the settings allow."""
    from loquela.jobs.cleanup import CleanUp
    from loquela.jobs.clock import SystemClock
    from loquela.service.parts import open_audit

    settings = _settings(data, settings_file)
    dry = dry_run or settings.cleanup_dry_run
    cleaner = CleanUp(settings, _archivist(settings), SystemClock(), open_audit(settings))
    found = cleaner.all(dry_run=dry)
    if as_json:
        emit_json([removal.model_dump(mode="json") for removal in found])
        return
    for removal in found:
        click.echo(_line(removal))
    freed = sum(removal.bytes_freed for removal in found)
    click.echo(f"{freed / 1e6:.1f} MB {'would be' if dry else ''} freed".replace("  ", " "))


def _line(removal: Removal) -> str:
    what = removal.what.replace("_", " ")
    if removal.outcome == "failed":
        return f"kept        {what} {removal.id}: {removal.message}"
    word = "would go" if removal.outcome == "dry_run" else "removed"
    return f"{word:<10}  {what} {removal.id}: {removal.files_deleted} files, {removal.bytes_freed / 1e6:.1f} MB"


def _settings(data: Path | None, settings_file: Path | None) -> ServiceSettings:
    return load(settings_file, data=None if data is None else str(data))


def _archivist(settings: ServiceSettings) -> Archivist:
    from loquela.jobs.archivist import Archivist
    from loquela.jobs.clock import SystemClock
    from loquela.jobs.database import Database
    from loquela.jobs.schema import migrate

    settings.data.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    migrate(database)
    return Archivist(settings, database, SystemClock())
