"""`loquela run`: from text to an evaluated model."""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.execution import carry_out
from loquela.cli.options import json_option, quiet_option, recipe_argument, resume_option, set_option


@click.command(
    "run",
    epilog="\b\nExample:\n  loquela run recipes/demo.yaml\n  loquela run 'my recipe.yaml' --set train.epochs=2 --json",
)
@recipe_argument
@set_option
@resume_option
@quiet_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], resume: str, quiet: bool, as_json: bool) -> None:
    """Execute a whole recipe: corpus, tokenizer, training, evaluation, exports.

    A stage whose inputs and settings are unchanged is not run again, and says so. Ctrl+C saves a complete checkpoint
    and exits with 75; the same command with --resume auto goes on.
    """
    carry_out(recipe, overrides, resume=resume, until=None, quiet=quiet, as_json=as_json)
