"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loquela.recipe.origins import ResolvedRecipe

recipe_argument = click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE")

optional_recipe_argument = click.argument("recipe", type=click.Path(path_type=Path), metavar="[RECIPE]", required=False)

model_argument = click.argument("model", metavar="MODEL")

run_argument = click.argument("run", metavar="RUN")

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one value of the recipe, e.g. --set train.epochs=2. May be repeated; the last one wins.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the result.")

RESUME_HELP = (
    "Go on with the newest unfinished run of this recipe's name (auto), start a new one (never), ask, "
    "or go on with the run given by id, prefix or path."
)
RESUME_CHOICES = "auto|never|ask|RUN"

resume_option = click.option("--resume", default="ask", show_default=True, metavar=RESUME_CHOICES, help=RESUME_HELP)

output_directory_option = click.option(
    "--output-directory",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    envvar="LOQUELA__OUTPUT_DIRECTORY",
    show_envvar=True,
    metavar="DIR",
    help="The recipe's output_directory, where the runs are.",
)


def load(recipe: Path | None, overrides: tuple[str, ...]) -> ResolvedRecipe:
    """The recipe of a command line: file, environment, `--set`."""
    from loquela.recipe.loading import load_recipe

    return load_recipe(recipe, overrides, os.environ)


def model_place(model: str, output_directory: Path) -> Path:
    """A folder as it is, else the run of that id, prefix or `latest`; one that a service has cleaned is brought back.

    RecipeError(RUN_NOT_FOUND) when there is none; errors as `local_model_folder`.
    """
    from loquela.runs.store import RunStore
    from loquela.runs.stored.local_copy import local_model_folder

    folder = Path(model).expanduser()
    return local_model_folder(folder if folder.is_dir() else RunStore(output_directory).open(model))
