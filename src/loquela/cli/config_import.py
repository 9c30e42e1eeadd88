"""`loquela config import`: a recipe from the configuration of another fine-tuning program."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.output import emit_json

if TYPE_CHECKING:
    from loquela.recipe.imports.read import Imported

SHOWN = (
    ("refused", "refused"),
    ("left", "not translated"),
    ("changed", "translated, not quite the same"),
    ("default", "not in the file, written because the default there is another"),
)


@click.command(
    "import",
    epilog="\b\nExample:\n  loquela config import axolotl.yml --output mine.yaml\n"
    "  loquela config import llamafactory.yaml > mine.yaml",
)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--output", type=click.Path(path_type=Path), metavar="RECIPE", help="Write the recipe there, not here.")
@json_option
def import_file(file: Path, output: Path | None, as_json: bool) -> None:
    """Make a recipe from a configuration of axolotl or LLaMA-Factory.

    Every key of FILE is translated, or listed with the reason: on stderr, and as comments in the recipe. Remote code
    is refused.
    """
    from loquela.core.atomic import write_text
    from loquela.recipe.imports.read import import_config

    imported = import_config(file)
    if output is not None:
        _refuse_existing(output)
        write_text(output, imported.recipe)
    if as_json:
        emit_json({"output": str(output) if output is not None else None, **imported.model_dump(mode="json")})
        return
    if output is None:
        click.echo(imported.recipe, nl=False)
    _tell(imported, output)


def _tell(imported: Imported, output: Path | None) -> None:
    """What became of the keys, on stderr."""
    from loquela.recipe.dumping import yaml_value

    for outcome, title in SHOWN:
        found = [each for each in imported.keys if each.outcome == outcome]
        if found:
            click.echo(f"{title}:", err=True)
        for each in found:
            note = f": {each.note}" if each.note else ""
            click.echo(f"  {each.key} = {yaml_value(each.value)}{note}", err=True)
    counts = Counter(each.outcome for each in imported.keys)
    same, nearly = counts["translated"], counts["changed"]
    other = f"{counts['needless']} needless, {counts['left']} not translated, {counts['refused']} refused"
    click.echo(f"{imported.program}: {same} keys translated, {nearly} nearly so, {other}", err=True)
    if output is not None:
        click.echo("next:", err=True)
        for line in [*imported.to_fetch, f"loquela validate {output}", f"loquela run {output}"]:
            click.echo(f"  {line}", err=True)


def _refuse_existing(path: Path) -> None:
    from loquela.core.errors import ErrorCode, RecipeError

    if path.exists():
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} exists already and is kept", "choose another name for --output"
        )
