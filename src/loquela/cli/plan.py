"""`loquela plan`: what will it take?"""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import JsonValue

from loquela.cli.options import json_option, load, recipe_argument, set_option
from loquela.cli.output import emit_json, table
from loquela.cli.remote.service import service_in_use


@click.command(
    "plan",
    epilog="\b\nExample:\n  loquela plan recipes/bilingual.yaml --set model.size=small\n"
    "  loquela plan my/recipe.yaml --fit 24GB --write",
)
@recipe_argument
@set_option
@click.option("--fit", metavar="SIZE", help="Of a fine-tuning: change batch, accumulation and checkpointing to fit.")
@click.option("--write", is_flag=True, help="With --fit: save the changes in RECIPE, comments kept.")
@click.option("--prices", type=click.Path(path_type=Path), metavar="FILE", help="Your own table of GPU types.")
@json_option
def command(
    recipe: Path, overrides: tuple[str, ...], fit: str | None, write: bool, prices: Path | None, as_json: bool
) -> None:
    """Predict memory, tokens, minutes and disk before a run; of a fine-tuning also the price on GPU types.

    Nothing is downloaded, and nothing written but with --write; a matrix product of about 0.1 s measures this machine.
    """
    client = service_in_use()
    if client is not None:
        if fit or write or prices:
            raise click.UsageError("--fit, --write and --prices look at this machine: leave --server out")
        from loquela.cli.remote.plan import show_remote_plan

        show_remote_plan(client, recipe, overrides, as_json=as_json)
        return
    resolved = load(recipe, overrides)
    if resolved.recipe.finetune is not None:
        from loquela.cli.plan_tuning import show_tuning

        show_tuning(recipe, resolved, fit=fit, write=write, prices=prices, as_json=as_json)
        return
    if fit or write or prices:
        raise click.UsageError("--fit, --write and --prices are for recipes with a section finetune")
    from loquela.recipe.keys import values_of
    from loquela.runs.plan import plan_run
    from loquela.runs.prerequisites import fit_to_device
    from loquela.stages import last_stage, stages_until

    resolved = fit_to_device(resolved)
    plan, last = plan_run(resolved.recipe, read_documents=True), last_stage(resolved.recipe)
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
    values: dict[str, JsonValue] = values_of(resolved.recipe)
    for key, origin in resolved.derived().items():
        click.echo(f"derived  {key} = {values[key]}: {origin.where}")
    for assumption in plan.assumptions:
        click.echo(f"assumed  {assumption}")
