"""`loquela plan`: what will it take?"""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.options import json_option, load, recipe_argument, set_option
from loquela.cli.output import emit_json, table


@click.command("plan", epilog="\b\nExample:\n  loquela plan recipes/bilingual.yaml --set model.size=small")
@recipe_argument
@set_option
@json_option
def command(recipe: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Predict memory, tokens, minutes and disk before a run.

    Nothing is downloaded or written; a matrix product of about 0.1 s measures this machine.
    """
    from loquela.recipe.keys import values_of
    from loquela.runs.plan import plan_run
    from loquela.runs.prerequisites import fit_to_device
    from loquela.stages import last_stage, stages_until

    resolved = fit_to_device(load(recipe, overrides))
    plan, last = plan_run(resolved.recipe), last_stage(resolved.recipe)
    if as_json:
        emit_json({} if plan is None else plan.model_dump(mode="json"))
        return
    if plan is None:
        click.echo("stages: " + " → ".join(stage.name for stage in stages_until(last, resolved.recipe)))
        return
    rows = [
        ("parameters", f"{plan.parameters:,}"),
        ("text", f"{plan.corpus_mb:,.1f} MB"),
        ("training tokens", f"{plan.train_tokens:,}"),
        ("optimizer steps", f"{plan.steps_total:,}"),
        ("tokens in all epochs", f"{plan.tokens_total:,}"),
        ("speed", f"{plan.tokens_per_second:,.0f} tokens/s"),
        ("training", f"{plan.training_minutes:,.1f} minutes"),
        ("disk", f"{plan.disk_mb:,.0f} MB"),
        *((f"memory: {part.replace('_', ' ')}", f"{size:,.1f} MB") for part, size in plan.memory_mb.items()),
    ]
    table(("what", "predicted"), rows)
    values = values_of(resolved.recipe)
    for key, origin in resolved.derived().items():
        click.echo(f"derived  {key} = {values[key]}: {origin.where}")
    for assumption in plan.assumptions:
        click.echo(f"assumed  {assumption}")
