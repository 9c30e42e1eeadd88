"""`loquela prepare-data`: from sources to proven shards."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.execution import ask, queued_instead
from loquela.cli.live_display import display_unless
from loquela.cli.options import json_option, load, quiet_option, recipe_argument, resume_option, set_option
from loquela.cli.output import emit_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from loquela.artifacts.corpus_report import CorpusReport
    from loquela.runs.execution import RunRecord

DATA_STAGES = ("ingest", "tokenizer", "prepare")


@click.command(
    "prepare-data",
    epilog="\b\nExample:\n  loquela prepare-data recipe.yaml\n  loquela prepare-data recipe.yaml --resume never --json",
)
@recipe_argument
@set_option
@resume_option
@quiet_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], resume: str, quiet: bool, as_json: bool) -> None:
    """Read the sources of a recipe, train its tokenizer, write its shards.

    What is unchanged is used again. Ctrl+C exits with 75; the same command with --resume auto goes on.
    """
    from loquela.runs.execution import execute

    resolved = load(recipe, overrides)
    until = "prepare" if resolved.recipe.finetune is None else "ingest"
    if queued_instead(recipe, overrides, until=until, quiet=quiet, as_json=as_json):
        return
    asker = ask if sys.stdin.isatty() and not as_json else None
    with display_unless(quiet or as_json) as display:
        listeners = [] if display is None else [display]
        record = execute(resolved, resume=resume, until=until, listeners=listeners, ask=asker)
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        _show(record, recipe, overrides)


def _show(record: RunRecord, recipe: Path, overrides: tuple[str, ...]) -> None:
    from loquela.cli.corpus_tables import show_flow, show_split
    from loquela.core.entry import resolve
    from loquela.runs.places import artifact_of

    make_report: Callable[[Path], CorpusReport] = resolve("loquela.data.views.report:corpus_report")
    report = make_report(artifact_of(record.directory, "ingest"))
    show_flow(report)
    show_split(report)
    for name in DATA_STAGES:
        made = record.manifest.stages.get(name)
        if made is None:
            continue
        click.echo(f"{name:<10} {made.summary or 'unchanged'}")
        click.echo(f"{'':<10} {made.directory}")
    again = "".join(f" --set {shlex.quote(override)}" for override in overrides)
    click.echo("next:")
    click.echo(f"  loquela data report {shlex.quote(str(record.directory))} --html report.html")
    click.echo(f"  loquela train {shlex.quote(str(recipe))}{again} --resume {record.run_id}")
