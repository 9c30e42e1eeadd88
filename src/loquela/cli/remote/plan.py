"""What a service says that a recipe would take there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.output import emit_json, table
from loquela.cli.remote.recipe import recipe_for
from loquela.cli.run_result import shown

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
        click.echo(f"derived  {key}: {where}")


def _told(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_told(each)}" for name, each in value.items())
    return "; ".join(_told(each) for each in value) if isinstance(value, list) else shown(value)
