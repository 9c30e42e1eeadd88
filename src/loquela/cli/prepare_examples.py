"""`loquela prepare-examples`: rows of questions, conversations or preferences to examples for fine-tuning."""

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

    from pydantic import JsonValue

    from loquela.recipe.schema import Recipe
    from loquela.runs.execution import RunRecord

    Preview = Callable[[Path, int, str | None], list[dict[str, JsonValue]]]
    Told = Callable[[Path], list[str]]


@click.command(
    "prepare-examples",
    epilog="\b\nExample:\n  loquela prepare-examples recipe.yaml --set examples.on_bad_row=drop",
)
@recipe_argument
@set_option
@resume_option
@click.option("--rows", type=click.IntRange(0, 100), default=1, show_default=True, help="How many rows to show.")
@quiet_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], resume: str, rows: int, quiet: bool, as_json: bool) -> None:
    """Read the rows that the recipe's section examples names, and show what became of them.

    What was recognised in every file, every row that was left out with its reason, the split, tokens and learnt tokens.
    """
    from loquela.core.entry import resolve
    from loquela.runs.execution import execute

    resolved = load(recipe, overrides)
    check: Callable[[Recipe], object] = resolve("loquela.data.examples.stage:section_of")
    check(resolved.recipe)
    if queued_instead(recipe, overrides, until="examples", quiet=quiet, as_json=as_json, here=("rows",)):
        return
    asker = ask if sys.stdin.isatty() and not as_json else None
    with display_unless(quiet or as_json) as display:
        listeners = [] if display is None else [display]
        record = execute(resolved, resume=resume, until="examples", listeners=listeners, ask=asker)
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        _show(record, rows)


def _show(record: RunRecord, rows: int) -> None:
    from loquela.core.entry import resolve

    made = record.manifest.stages["examples"]
    tell: Told = resolve("loquela.data.examples.preview:told")
    for line in tell(Path(made.directory)):
        click.echo(line)
    show_examples(Path(made.directory), rows, "train", as_json=False)
    click.echo(f"examples: {made.summary or 'unchanged'}")
    click.echo(f"  {made.directory}")
    click.echo("next:")
    click.echo(f"  loquela data preview {shlex.quote(str(record.directory))} --examples --rows 5")


def show_examples(directory: Path, rows: int, split: str, *, as_json: bool) -> None:
    """The first examples of a split as the model will see them."""
    from loquela.core.entry import resolve

    make: Preview = resolve("loquela.data.examples.preview:preview_json")
    found = make(directory, rows, split)
    if as_json:
        emit_json({"rows": [*found]})
        return
    for row in found:
        tokens = "" if row["tokens"] is None else f", {row['tokens']} tokens, {row['learnt_tokens']} learnt"
        part = f" ({row['part']})" if row["part"] else ""
        click.echo(f"{row['place']}: {row['kind']}{part}, {row['split']}{tokens}")
        click.echo(str(row["marked"]))
