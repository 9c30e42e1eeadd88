"""`loquela plan` of a recipe that fine-tunes: memory, minutes and price, and the change that makes it fit."""

from __future__ import annotations

from pathlib import Path

import click

from loquela.cli.output import emit_json, table
from loquela.core.atomic import write_text
from loquela.core.errors import ErrorCode, RecipeError
from loquela.finetuning.planning.fit import Fit, fit_recipe, parse_gib, with_values
from loquela.finetuning.planning.gpus import load_gpus
from loquela.finetuning.planning.plan import TuningPlan
from loquela.recipe.dumping import yaml_value
from loquela.recipe.editing import set_values
from loquela.recipe.origins import ResolvedRecipe
from loquela.runs.tuning_plan import materials_for, tuning_plan


def show_tuning(
    path: Path, resolved: ResolvedRecipe, *, fit: str | None, write: bool, prices: Path | None, as_json: bool
) -> None:
    """Print the plan; with `fit`, of the recipe as it must be to fit, and with `write` save it so."""
    if write and fit is None:
        raise click.UsageError("--write saves what --fit changes; give --fit SIZE too")
    gpus = load_gpus(prices)
    recipe = resolved.recipe
    found: Fit | None = None
    if fit is not None:
        found = fit_recipe(recipe, materials_for(recipe, gpus), parse_gib(fit))
        recipe = with_values(recipe, found.after)
        if write and found.after:
            save(path, found)
    plan = tuning_plan(recipe, gpus)
    if as_json:
        emit_json({**plan.model_dump(mode="json"), "fit": None if found is None else found.model_dump(mode="json")})
        return
    if found is not None:
        show_fit(path, found, written=write and bool(found.after))
    show(plan)


def save(path: Path, found: Fit) -> None:
    """Write the changed values into the recipe file; RecipeError when its form does not let them in."""
    if path.suffix.lower() == ".toml":
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path} is TOML, and only YAML recipes are edited",
            "set by hand: " + ", ".join(f"{key} = {yaml_value(value)}" for key, value in found.after.items()),
        )
    write_text(path, set_values(path.read_text(encoding="utf-8"), found.after, str(path)))


def show_fit(path: Path, found: Fit, *, written: bool) -> None:
    """The change as a diff of dotted keys."""
    if not found.after:
        click.echo(f"fits into {found.gib:g} GiB as it is: {found.needed_before_gib:,.2f} GiB needed")
        return
    click.echo(
        f"to fit into {found.gib:g} GiB: {found.needed_before_gib:,.2f} GiB needed before, "
        f"{found.needed_after_gib:,.2f} after, {found.effective_batch} rows per step as before"
    )
    for key, value in found.after.items():
        click.echo(f"- {key}: {yaml_value(found.before[key])}")
        click.echo(f"+ {key}: {yaml_value(value)}")
    click.echo(f"saved in {path}" if written else "save it with --write")


def show(plan: TuningPlan) -> None:
    """The plan as tables."""
    counted = [
        ("base", f"{plan.base}, {plan.parameters:,} parameters"),
        ("trained parameters", f"{plan.trained_parameters:,} ({plan.trained_parameters / plan.parameters:.2%})"),
        ("rows", f"{plan.rows:,}, the longest {plan.longest_row:,} tokens"),
        ("tokens of an epoch", f"{plan.train_tokens:,}, {plan.trained_tokens:,} of them learnt"),
        ("rows per step", f"{plan.effective_batch:,}"),
        ("optimizer steps", f"{plan.steps_total:,}"),
        (f"on {plan.device}", f"{plan.training_minutes:,.1f} minutes, {plan.tokens_per_second:,.0f} learnt tokens/s"),
        ("disk", f"{plan.disk_mb:,.0f} MB"),
        *((f"memory: {part}", f"{size:,.1f} MB") for part, size in plan.memory_mb.items()),
    ]
    table(("what", "predicted"), counted)
    rows = [
        (
            each.name,
            f"{each.memory_gb:g} GiB",
            f"{each.needed_gb:,.1f} GiB",
            "yes" if each.fits else "no",
            "–" if each.minutes is None else f"{each.minutes:,.1f}",
            f"{each.usd_per_hour:.2f}",
            "–" if each.usd is None or not each.fits else f"{each.usd:,.2f}",
        )
        for each in plan.gpus
    ]
    table(("GPU type", "has", "needed", "fits", "minutes", "USD/hour", "USD"), rows)
    said = (
        f"cheapest that fits: {plan.cheapest}" if plan.cheapest else "none of these fits: try --fit, or method: qlora"
    )
    click.echo(said)
    for assumption in plan.assumptions:
        click.echo(f"assumed  {assumption}")
    if plan.gpu_table.note:
        click.echo(plan.gpu_table.note)
