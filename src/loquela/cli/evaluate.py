"""`loquela evaluate`: how good is the model, or how much better than its base?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.execution import carry_out
from loquela.cli.live_display import display_unless
from loquela.cli.options import (
    RESUME_CHOICES,
    RESUME_HELP,
    json_option,
    load,
    optional_recipe_argument,
    quiet_option,
    set_option,
)
from loquela.cli.output import emit_json
from loquela.cli.remote.service import is_given, service_in_use

if TYPE_CHECKING:
    from loquela.recipe.schema import Recipe

RECIPE_SUFFIXES = (".yaml", ".yml", ".toml")
FAIL_UNDER = "evaluate.tuned.fail_under"
folder_type = click.Path(path_type=Path)


@click.command(
    "evaluate",
    epilog="\b\nExample:\n  loquela evaluate recipe.yaml\n  loquela evaluate recipe.yaml --resume latest --json\n"
    "  loquela evaluate recipe.yaml --fail-under json_validity=0.98\n"
    "  loquela evaluate --base BASE --adapter ADAPTER --examples EXAMPLES",
)
@optional_recipe_argument
@set_option
@click.option("--resume", default="auto", show_default=True, metavar=RESUME_CHOICES, help=RESUME_HELP)
@click.option(
    "--fail-under",
    "limits",
    multiple=True,
    metavar="METRIC=VALUE",
    help="Exit with 5 when the adapter's metric is lower. May be repeated; added to evaluate.tuned.fail_under.",
)
@click.option("--base", type=folder_type, metavar="DIR", help="Compare folders: the base model.")
@click.option("--adapter", type=folder_type, metavar="DIR", help="Compare folders: its adapter, or tuned model.")
@click.option("--examples", type=folder_type, metavar="DIR", help="Compare folders: the examples, with token rows.")
@click.option(
    "--output", type=folder_type, metavar="DIR", help="Compare folders: where to; default: comparison/ beside --adapter"
)
@click.option(
    "--split", type=click.Choice(("train", "validation", "test")), help="With --server and a run: what to measure on."
)
@click.option(
    "--text", metavar="FILE", help="With --server and a run: measure on this text; a file here, or a name there."
)
@quiet_option
@json_option
def command(
    recipe: Path | None,
    overrides: tuple[str, ...],
    resume: str,
    limits: tuple[str, ...],
    base: Path | None,
    adapter: Path | None,
    examples: Path | None,
    output: Path | None,
    split: str | None,
    text: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate the model of a recipe, making first what it still lacks.

    Losses, samples and inference budgets of the newest run of this recipe's name; a budget that is missed exits with 5.
    Of a recipe that fine-tunes, base and adapter are compared on the same held-out rows. With three folders instead of
    a run these are compared; a recipe then only says how. With --server, RECIPE may be a run of the service (its id,
    the beginning of one, or latest): its model is measured as it is.
    """
    client = service_in_use("base", "adapter", "examples", "output")
    if client is not None and recipe is not None and not _is_recipe(recipe):
        from loquela.cli.remote.on_run import evaluate

        if overrides or is_given("resume"):
            raise click.UsageError("--set and --resume are for a RECIPE; this is a run")
        asked = dict(map(_limit, limits))
        evaluate(client, str(recipe), split=split, text=text, limits=asked, quiet=quiet, as_json=as_json)
        return
    if split is not None or text is not None:
        raise click.UsageError("--split and --text are for a run of a service: --server URL evaluate RUN")
    overrides = (*overrides, *_limits(recipe, overrides, limits))
    given = {"--base": base, "--adapter": adapter, "--examples": examples}
    if base is not None and adapter is not None and examples is not None:
        place = output or adapter.parent / "comparison"
        _compare(load(recipe, overrides).recipe, base, adapter, examples, place, quiet=quiet, as_json=as_json)
        return
    if any(given.values()) or output is not None:
        missing = ", ".join(name for name, value in given.items() if value is None)
        raise click.UsageError(f"to compare folders, give {missing} too")
    if recipe is None:
        raise click.UsageError("give a RECIPE, or --base, --adapter and --examples")
    carry_out(recipe, overrides, resume=resume, until="evaluate", quiet=quiet, as_json=as_json)


def _limits(recipe: Path | None, overrides: tuple[str, ...], limits: tuple[str, ...]) -> list[str]:
    """`--fail-under` as one override: the recipe's own limits, then these."""
    if not limits:
        return []
    merged = dict(load(recipe, overrides).recipe.evaluate.tuned.fail_under)
    merged.update(map(_limit, limits))
    return [f"{FAIL_UNDER}={json.dumps(merged)}"]


def _limit(limit: str) -> tuple[str, float]:
    """A `--fail-under` as name and number."""
    name, _, text = limit.partition("=")
    try:
        return name.strip(), _finite(text)
    except ValueError as error:
        raise click.UsageError(f"--fail-under {limit}: write METRIC=NUMBER, e.g. json_validity=0.98") from error


def _is_recipe(place: Path) -> bool:
    return place.suffix in RECIPE_SUFFIXES or place.is_file()


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _compare(
    recipe: Recipe, base: Path, adapter: Path, examples: Path, place: Path, *, quiet: bool, as_json: bool
) -> None:
    from loquela.cli.comparison import show_comparison
    from loquela.evaluation.tuned.folders import compare_folders
    from loquela.evaluation.tuned.gates import check_gates
    from loquela.monitoring.events import EventBus
    from loquela.runs.signals import stop_on_signals

    bus = EventBus()
    with display_unless(quiet or as_json) as display, stop_on_signals() as stop:
        if display is not None:
            bus.subscribe(display)
        report = compare_folders(base, adapter, examples, place, recipe, bus, stop)
    if not as_json:
        show_comparison(place, recipe)
    check_gates(place, recipe)
    if as_json:
        emit_json(report.model_dump(mode="json"))
