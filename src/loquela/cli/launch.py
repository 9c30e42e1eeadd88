"""`loquela launch`: run a recipe on a rented machine that ends itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, load, recipe_argument, set_option
from loquela.cli.output import emit_json

if TYPE_CHECKING:
    from loquela.runs.launching import Launch


@click.command(
    "launch",
    epilog="\b\nExample:\n  loquela launch my/recipe.yaml --dry-run\n  loquela launch my/recipe.yaml\n"
    "  loquela launch my/recipe.yaml --collect latest",
)
@recipe_argument
@set_option
@click.option("--dry-run", is_flag=True, help="Write the SkyPilot task and what is sent; rent nothing.")
@click.option("--detach", is_flag=True, help="Return once the run has started; fetch it later with --collect.")
@click.option("--collect", metavar="latest|CLUSTER", help="Wait for a launch, fetch and prove it, release the machine.")
@click.option("--prices", type=click.Path(path_type=Path), metavar="FILE", help="Your own table of GPU types.")
@json_option
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    dry_run: bool,
    detach: bool,
    collect: str | None,
    prices: Path | None,
    as_json: bool,
) -> None:
    """Run a recipe on a rented machine, within a spending cap.

    Section compute.cloud says where. The machine saves and ends itself before the cap, when it is idle, or when its
    results were not fetched in time, even if this computer is off; results are proven by SHA-256 before it is given
    back. Ctrl+C here leaves it at work: --collect goes on.
    """
    from loquela.runs import launching

    if collect and (dry_run or detach):
        raise click.UsageError("--collect fetches a launch that was made; leave --dry-run and --detach out")
    resolved = load(recipe, overrides)
    if collect:
        launch = launching.open_launch(resolved.recipe, collect)
    else:
        launch = launching.prepare_launch(resolved, os.environ, prices)
        if not as_json:
            _tell(launch)
        if not dry_run:
            launching.start(launch)
    runs: list[Path] = []
    if not dry_run and not detach:
        runs = launching.collect(launch, resolved.recipe.output_directory)
    if as_json:
        emit_json({**launch.model_dump(mode="json"), "runs": [str(run) for run in runs]})
        return
    _next(launch, runs, recipe, dry_run=dry_run, detach=detach)


def _tell(launch: Launch) -> None:
    machine = launch.machine
    click.echo(f"machine   {machine.gpus} × {machine.gpu}, {machine.usd_per_hour:.2f} USD per hour ({machine.cluster})")
    if launch.expected_usd is not None:
        click.echo(
            f"expected  {launch.expected_minutes:,.0f} minutes of training, {launch.expected_usd:.2f} USD in all"
        )
    click.echo(f"cap       {launch.max_cost_usd:g} USD: it saves and ends itself before")
    click.echo(f"secrets   {', '.join(launch.secrets) or 'none'} (from the environment, written nowhere)")
    click.echo(f"task      {launch.folder / 'task.yaml'}")


def _next(launch: Launch, runs: list[Path], recipe: Path, *, dry_run: bool, detach: bool) -> None:
    if dry_run:
        click.echo(f"nothing was rented. Start it: loquela launch {recipe}")
    elif detach:
        click.echo(f"it works. Fetch it: loquela launch {recipe} --collect {launch.machine.cluster}")
    elif launch.done is not None:
        click.echo(
            f"{launch.done.outcome}: {launch.done.message}; {launch.done.cost_usd:.2f} USD, {len(launch.done.files):,} "
            "files proven, the machine is released"
        )
        for run in runs:
            click.echo(f"next: loquela runs show {run.name}")
