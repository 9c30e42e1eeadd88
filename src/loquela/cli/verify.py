"""`loquela verify`: is a run on disk still what it was?"""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.options import json_option, output_directory_option, run_argument
from loquela.cli.output import emit_json

PROOF_FAILED = 5


@click.command("verify", epilog="\b\nExample:\n  loquela verify latest\n  loquela verify data/runs/demo-… --json")
@run_argument
@output_directory_option
@json_option
@click.pass_context
def command(ctx: click.Context, run: str, output_directory: Path, as_json: bool) -> None:
    """Prove that a run on disk is still what it was.

    Every file is hashed, every weight looked at, the corpus and shards it was made from are compared. Nothing is
    changed. Exits with 5 when a proof fails. RUN is an id, a prefix of an id, a path, or latest.
    """
    from loquela.runs.store import RunStore
    from loquela.runs.verify import verify_run

    report = verify_run(RunStore(output_directory).open(run))
    if as_json:
        emit_json(report.model_dump(mode="json"))
    else:
        for proof in report.proofs:
            click.echo(f"{'ok    ' if proof.passed else 'FAILED'}  {proof.name}: {proof.message}")
            if not proof.passed and proof.remedy:
                click.echo(f"          to mend it: {proof.remedy}")
        failed = sum(not proof.passed for proof in report.proofs)
        click.echo(
            f"{report.run_id}: {f'{failed} of ' if failed else 'all '}{len(report.proofs)} proofs "
            f"{'fail' if failed else 'hold'}"
        )
    if not report.passed:
        ctx.exit(PROOF_FAILED)
