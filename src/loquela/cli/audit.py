"""`loquela audit`: who did what on a service, and the proof that nothing was taken out of the list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.outcomes import audit_line
from loquela.cli.output import emit_json
from loquela.cli.remote.service import service_in_use
from loquela.cli.service_options import data_option, load, settings_option
from loquela.cli.where import ServedGroup

if TYPE_CHECKING:
    from loquela.jobs.audit import AuditLog

PROOF_FAILED = 5


@click.group("audit", cls=ServedGroup, epilog="\b\nExample:\n  loquela audit list\n  loquela audit verify")
def command() -> None:
    """Show and prove the audit log of a service.

    Every privileged act and every refusal is an entry that holds the one before it.
    """


@command.command("list", epilog="\b\nExample:\n  loquela audit list --after 1200 --action key.create")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Entries behind this number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@click.option("--action", metavar="NAME", help="Only those of one action, such as run.submit.")
@data_option
@settings_option
@json_option
def list_entries(
    after: int, limit: int, action: str | None, data: Path | None, settings_file: Path | None, as_json: bool
) -> None:
    """Show entries, oldest first."""
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.watching import list_audit

        list_audit(client, after, limit, action, as_json=as_json)
        return
    entries = _log(data, settings_file).page(after=after, limit=limit, action=action)
    if as_json:
        emit_json([entry.model_dump(mode="json") for entry in entries])
        return
    for entry in entries:
        click.echo(audit_line(entry))


@command.command("verify", epilog="\b\nExample:\n  loquela audit verify --json")
@data_option
@settings_option
@json_option
@click.pass_context
def verify(ctx: click.Context, data: Path | None, settings_file: Path | None, as_json: bool) -> None:
    """Prove that no entry was changed, removed, put in or moved.

    The anchor beside the database shows whether the end is whole. Nothing is changed. Exits with 5 when a proof fails.
    """
    from loquela.jobs.audit_check import verify_audit

    report = verify_audit(_log(data, settings_file))
    if as_json:
        emit_json(report.model_dump(mode="json"))
    elif report.whole:
        click.echo(f"all {report.entries} entries are as they were written, none is missing")
        click.echo(f"  the newest has the digest {report.last_digest}")
    else:
        click.echo(f"BROKEN: {report.problem}")
        click.echo(f"  the {report.entries} entries before are as they were written", err=True)
    if not report.whole:
        ctx.exit(PROOF_FAILED)


def _log(data: Path | None, settings_file: Path | None) -> AuditLog:
    settings = load(settings_file, data=None if data is None else str(data))
    from loquela.service.parts import open_audit

    return open_audit(settings)
