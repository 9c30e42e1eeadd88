"""`loquela doctor`: is this machine ready?"""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.options import json_option, output_directory_option
from loquela.cli.output import emit_json

NOT_READY = 4


@click.command("doctor", epilog="\b\nExample:\n  loquela doctor\n  loquela doctor --output-directory /big/disk --json")
@output_directory_option
@json_option
@click.pass_context
def command(ctx: click.Context, output_directory: Path, as_json: bool) -> None:
    """Check this machine: packages, device, threads, memory, disk.

    Exits with 4 when something that Loquela needs is missing; what is only useful is marked as a note.
    """
    from loquela.cli.examination import examine

    findings = examine(output_directory)
    ready = all(finding.passed or not finding.required for finding in findings)
    if as_json:
        emit_json({"ready": ready, "findings": [finding.model_dump(mode="json") for finding in findings]})
    else:
        for finding in findings:
            mark = "ok     " if finding.passed else "MISSING" if finding.required else "note   "
            click.echo(f"{mark}  {finding.name}: {finding.message}")
            if not finding.passed and finding.remedy:
                click.echo(f"           to mend it: {finding.remedy}")
        click.echo("ready" if ready else "not ready: mend what is MISSING")
    if not ready:
        ctx.exit(NOT_READY)
