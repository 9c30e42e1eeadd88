"""What a service says that a recipe would take there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loquela.cli.output import emit_json, print_text, table, tell_notes
from loquela.cli.remote.recipe import recipe_for
from loquela.cli.run_result import shown
from loquela.recipe.problems import Problem, recipe_error

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.client.client import Client


def show_remote_plan(client: Client, recipe: Path, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """The service's plan; nothing is queued. The files that the recipe names are uploaded, as for a run."""
    made = client.plan(recipe_for(client, recipe, overrides))
    if as_json:
        emit_json(made.model_dump(mode="json"))
        return
    rows = [(name.replace("_", " "), _told(value)) for name, value in (made.plan or {}).items()]
    table(("what", f"predicted at {client.url}"), rows)
    for key, where in made.derived.items():
        print_text(f"derived  {key}: {where}")


def show_remote_validation(client: Client, recipe: Path, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Whether the service would take the recipe; nothing is queued. Its files are uploaded, as for a run.

    Raises RecipeError(CONFIG_INVALID) with everything that the service would not take.
    """
    found = client.validate(recipe_for(client, recipe, overrides))
    if not found.valid:
        raise recipe_error(
            [Problem(each.where, each.key, each.message, each.remedy) for each in found.problems],
        )
    if as_json:
        emit_json(found.model_dump(mode="json"))
        return
    print_text(f"{recipe} is valid at {client.url}.")
    for key, where in found.derived.items():
        print_text(f"  {key}  ({where})")
    tell_notes(found.recommendations)


def _told(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_told(each)}" for name, each in value.items())
    return "; ".join(_told(each) for each in value) if isinstance(value, list) else shown(value)
