"""`loquela verify`: is a run, or an artifact, on disk still what it was?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, output_directory_option
from loquela.cli.output import emit_json
from loquela.cli.remote.service import service_in_use

if TYPE_CHECKING:
    from loquela.artifacts.passport import ArtifactReport
    from loquela.runs.verify import VerifyReport

PROOF_FAILED = 5


@click.command(
    "verify",
    epilog="\b\nExample:\n  loquela verify latest\n  loquela verify data/runs/demo-… --json\n"
    "  loquela verify data/runs/mybot-…/final_artifact",
)
@click.argument("run", metavar="RUN|FOLDER")
@output_directory_option
@json_option
@click.pass_context
def command(ctx: click.Context, run: str, output_directory: Path, as_json: bool) -> None:
    """Prove that a run, or an artifact, on disk is still what it was.

    Every file is hashed, every weight looked at, what it was made from is compared where it is there: corpus and
    shards, base, rows, adapter. Nothing is changed, nothing fetched. Exits with 5 when a proof fails. RUN is an id, a
    prefix of an id, a path, or latest; FOLDER an adapter, merged model, final_artifact or another artifact.
    """
    name, report = _report(run, output_directory, as_json=as_json)
    if as_json:
        emit_json(report.model_dump(mode="json"))
    else:
        for proof in report.proofs:
            click.echo(f"{'ok    ' if proof.passed else 'FAILED'}  {proof.name}: {proof.message}")
            if not proof.passed and proof.remedy:
                click.echo(f"          to mend it: {proof.remedy}")
        failed = sum(not proof.passed for proof in report.proofs)
        click.echo(
            f"{name}: {f'{failed} of ' if failed else 'all '}{len(report.proofs)} proofs {'fail' if failed else 'hold'}"
        )
    if not report.passed:
        ctx.exit(PROOF_FAILED)


def _report(run: str, output_directory: Path, *, as_json: bool) -> tuple[str, ArtifactReport | VerifyReport]:
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.on_run import verify

        proven = verify(client, run, as_json=as_json)
        return proven.run_id, proven
    from loquela.artifacts.passport import is_artifact, verify_artifact
    from loquela.runs.store import RunStore
    from loquela.runs.verify import verify_run

    folder = Path(run).expanduser()
    if folder.is_dir() and is_artifact(folder):
        return str(folder), verify_artifact(folder)
    found = verify_run(RunStore(output_directory).open(run))
    return found.run_id, found
