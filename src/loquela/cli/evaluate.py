"""`loquela evaluate`: how good is the model?"""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.execution import carry_out
from loquela.cli.options import RESUME_CHOICES, RESUME_HELP, json_option, quiet_option, recipe_argument, set_option


@click.command(
    "evaluate",
    epilog="\b\nExample:\n  loquela evaluate recipe.yaml\n  loquela evaluate recipe.yaml --resume latest --json",
)
@recipe_argument
@set_option
@click.option("--resume", default="auto", show_default=True, metavar=RESUME_CHOICES, help=RESUME_HELP)
@quiet_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], resume: str, quiet: bool, as_json: bool) -> None:
    """Evaluate the model of a recipe, making first what it still lacks.

    Losses, samples and inference budgets of the newest run of this recipe's name; a budget that is missed exits with 5.
    """
    carry_out(recipe, overrides, resume=resume, until="evaluate", quiet=quiet, as_json=as_json)
