"""`loquela config show|explain|migrate|import`: what a recipe says, where each value comes from, and older recipes."""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.config_import import import_file
from loquela.cli.options import json_option, load, optional_recipe_argument, set_option
from loquela.cli.output import emit_json, table


@click.group("config", epilog="\b\nExample:\n  loquela config explain train.learning_rate")
def command() -> None:
    """Show, explain, migrate and import recipes."""


@command.command("show", epilog="\b\nExample:\n  loquela config show my.yaml --set model.size=small > resolved.yaml")
@optional_recipe_argument
@set_option
@json_option
def show(recipe: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print every value with its origin.

    What is printed is a recipe again. Without RECIPE, the defaults are shown.
    """
    from loquela.recipe.dumping import dump_recipe

    resolved = load(recipe, overrides)
    if as_json:
        emit_json(resolved.model_dump(mode="json"))
    else:
        click.echo(dump_recipe(resolved), nl=False)


@command.command(
    "explain",
    epilog="\b\nExample:\n  loquela config explain model.d_model\n  loquela config explain train --recipe my.yaml",
)
@click.argument("key", default="", metavar="[KEY]")
@click.option("--recipe", type=click.Path(path_type=Path), help="Explain the values of this recipe.")
@set_option
@json_option
def explain_key(key: str, recipe: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Say what a key means and influences.

    Value, origin, default, range, description, and what it changes. KEY is a dotted key (train.epochs) or a section
    (train); without it, all keys are listed.
    """
    from loquela.recipe.dumping import yaml_value
    from loquela.recipe.explain import explain

    found = explain(load(recipe, overrides), key)
    if as_json:
        emit_json({"keys": [explanation.model_dump(mode="json") for explanation in found]})
    elif len(found) == 1 and found[0].key == key:
        only = found[0]
        click.echo(f"{key} = {yaml_value(only.value)}  ({only.origin})")
        click.echo(f"  {only.description}")
        click.echo(f"  allowed:    {only.allowed}")
        click.echo(f"  default:    {yaml_value(only.default)}")
        click.echo(f"  influences: {only.influences}")
    else:
        rows = [(each.key, yaml_value(each.value), str(each.origin), each.allowed) for each in found]
        table(("key", "value", "origin", "allowed"), rows)


@command.command("migrate", epilog="\b\nExample:\n  loquela config migrate old.yaml")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@json_option
def migrate_file(file: Path, as_json: bool) -> None:
    """Bring an older recipe up to date.

    The file is replaced; the old text is kept beside it as FILE.v0 (its comments are not carried over). A recipe that
    is already current stays as it is.
    """
    from loquela.core.atomic import write_text
    from loquela.recipe.layers import read_text
    from loquela.recipe.migration import migrate

    text = read_text(file)
    migration = migrate(text, str(file), toml=file.suffix.lower() == ".toml")
    kept = file.with_name(file.name + ".v0")
    if migration.changes:
        _refuse_existing(kept)
        write_text(kept, text)
        write_text(file, migration.text)
    if as_json:
        emit_json(
            {"file": str(file), "kept": str(kept) if migration.changes else None, "changes": [*migration.changes]}
        )
        return
    for change in migration.changes:
        click.echo(f"  {change}")
    done = f"{file} is migrated; the old text is {kept}" if migration.changes else f"{file} is already current"
    click.echo(f"{done}. Check it: loquela validate {file}")


command.add_command(import_file)


def _refuse_existing(path: Path) -> None:
    from loquela.core.errors import ErrorCode, RecipeError

    if path.exists():
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path}, where the old text would be kept, exists already",
            f"move {path} away and run the same command again",
        )
