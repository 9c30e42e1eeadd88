"""`loquela validate`: is this recipe right?"""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.options import json_option, load, recipe_argument, set_option
from loquela.cli.output import emit_json, tell_notes
from loquela.cli.remote.service import service_in_use


@click.command("validate", epilog="\b\nExample:\n  loquela validate recipes/gutenberg.yaml --set train.epochs=2")
@recipe_argument
@set_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check a recipe and report every problem at once.

    Nothing is downloaded, written or trained. What the size dial derives is listed with its reason; what is allowed
    but unusual is noted.
    """
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.plan import show_remote_validation

        show_remote_validation(client, recipe, overrides, as_json=as_json)
        return
    from loquela.recipe.keys import values_of
    from loquela.recipe.pipeline import from_recipe
    from loquela.stages import wanted_stages

    resolved = load(recipe, overrides)
    values = values_of(resolved.recipe)
    flat, _ = from_recipe(resolved.recipe)
    recommendations = [] if flat is None or resolved.recipe.finetune is not None else flat.recommendations()
    if as_json:
        emit_json({"valid": True, "recommendations": [*recommendations], **resolved.model_dump(mode="json")})
        return
    click.echo(f"{recipe} is valid.")
    looked_at = {setting for stage in wanted_stages(resolved.recipe) for setting in stage.settings}
    for key, origin in resolved.derived().items():
        if not any(key == setting or key.startswith(f"{setting}.") for setting in looked_at):
            continue
        click.echo(f"  {key} = {values[key]}  ({origin.where})")
    tell_notes(recommendations)
