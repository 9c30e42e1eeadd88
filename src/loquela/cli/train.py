"""`loquela train`: from text to a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.execution import carry_out
from loquela.cli.options import json_option, quiet_option, recipe_argument, resume_option, set_option


@click.command(
    "train",
    epilog="\b\nExample:\n  loquela train recipe.yaml --resume auto",
)
@recipe_argument
@set_option
@resume_option
@quiet_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], resume: str, quiet: bool, as_json: bool) -> None:
    """Execute a recipe up to the trained model.

    What training still lacks (corpus, tokenizer, shards) is made first; what is unchanged is used again. Ctrl+C saves a
    complete checkpoint and exits with 75; the same command with --resume auto goes on.
    """
    carry_out(recipe, overrides, resume=resume, until="train", quiet=quiet, as_json=as_json)
