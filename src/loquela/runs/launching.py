"""A launch on a rented machine, kept in a folder of its own below the output directory.

<output_directory>/launches/<cluster>/launch.json  task.yaml  work/ (what is sent)  results/ (what came back, proven)
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from loquela.compute.cloud import submit
from loquela.compute.cloud.done import Done
from loquela.compute.cloud.staging import INPUTS, stage_inputs
from loquela.compute.cloud.task import Machine, cluster_name, write_task
from loquela.core.atomic import write_text
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.finetuning.planning.gpus import GpuTable, load_gpus
from loquela.recipe.cloud_section import CloudSection
from loquela.recipe.origins import ResolvedRecipe
from loquela.recipe.schema import Recipe
from loquela.runs.tuning_plan import tuning_plan

LAUNCHES = "launches"
RECORD_NAME = "launch.json"


class Launch(BoundaryModel):
    """`launch.json`: what was rented for what; `expected_usd` is the plan's, None where there is no plan."""

    folder: Path
    machine: Machine
    max_cost_usd: float
    expected_usd: float | None
    expected_minutes: float | None
    secrets: list[str] = Field(description="names of the environment variables that are handed on")
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    done: Done | None = None

    def save(self) -> None:
        """Write the record."""
        write_text(self.folder / RECORD_NAME, self.model_dump_json(indent=2) + "\n")


def prepare_launch(resolved: ResolvedRecipe, environment: Mapping[str, str], prices: Path | None = None) -> Launch:
    """Write everything that a launch needs; nothing is rented.

    RecipeError when the recipe has no section compute.cloud, names an unknown GPU, or the plan costs more than the cap.
    """
    recipe = resolved.recipe
    section = section_of(recipe)
    suffix = secrets.token_hex(3)
    machine, usd, minutes = _machine(recipe, section, load_gpus(prices), cluster_name(recipe.name, suffix))
    if usd is not None and usd > section.max_cost_usd:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"the plan expects {usd:.2f} USD on {machine.gpu}, and compute.cloud.max_cost_usd is "
            f"{section.max_cost_usd:g}: the run would be stopped before its end",
            "raise compute.cloud.max_cost_usd, lower finetune.epochs, or see loquela plan for other GPU types",
        )
    folder = recipe.output_directory.expanduser().absolute() / LAUNCHES / machine.cluster
    work = folder / "work"
    stage_inputs(resolved, work)
    wheel = Path(section.install).expanduser()
    if wheel.suffix == ".whl":
        _copy_wheel(wheel, work)
    write_task(folder, section, machine, environment)
    launch = Launch(
        folder=folder,
        machine=machine,
        max_cost_usd=section.max_cost_usd,
        expected_usd=usd,
        expected_minutes=minutes,
        secrets=[name for name in section.forward_env if name in environment],
    )
    launch.save()
    return launch


def start(launch: Launch) -> None:
    """Rent the machine and start the run there; ResourceError when SkyPilot is missing or cannot."""
    submit.submit(submit.find_sky(), launch.folder / "task.yaml", launch.machine.cluster, launch.secrets)


def collect(launch: Launch, output_directory: Path) -> list[Path]:
    """Wait for the end, fetch and prove the results, put the runs among ours, release the machine.

    The machine is released only after every SHA-256 held. Returns the folders of the runs.
    """
    sky = submit.find_sky()
    cluster = launch.machine.cluster
    launch.done = submit.wait_for_done(cluster, submit.POLL_SECONDS)
    fetched = submit.fetch(cluster, launch.done, launch.folder / "results")
    launch.save()
    submit.release(sky, cluster)
    runs = output_directory.expanduser() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    moved = []
    for run in sorted(path for path in fetched.iterdir() if path.is_dir()):
        target = runs / run.name
        if not target.exists():
            shutil.copytree(run, target)
        moved.append(target)
    return moved


def open_launch(recipe: Recipe, name: str) -> Launch:
    """The launch called `name`, or the newest for `latest`; RecipeError(DATASET_NOT_FOUND) when there is none."""
    root = recipe.output_directory.expanduser().absolute() / LAUNCHES
    made = sorted(root.glob(f"*/{RECORD_NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in made:
        if name in ("latest", path.parent.name):
            return Launch.model_validate_json(path.read_bytes())
    known = ", ".join(path.parent.name for path in made) or "none"
    raise RecipeError(
        ErrorCode.DATASET_NOT_FOUND, f"no launch {name!r} in {root}; there: {known}", "loquela launch RECIPE makes one"
    )


def section_of(recipe: Recipe) -> CloudSection:
    """`compute.cloud`; RecipeError(CONFIG_INVALID) when the recipe has none."""
    if recipe.compute.cloud is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the recipe has no section compute.cloud, so there is nothing to rent",
            "write compute: {cloud: {provider: runpod, max_cost_usd: 5}}",
        )
    return recipe.compute.cloud


def _machine(
    recipe: Recipe, section: CloudSection, table: GpuTable, cluster: str
) -> tuple[Machine, float | None, float | None]:
    """What to rent, what it is expected to cost, and for how long."""
    plan = tuning_plan(recipe, table) if recipe.finetune is not None else None
    name = section.gpu if section.gpu != "auto" else (plan.cheapest if plan is not None else None)
    if name is None:
        why = "none of the known types fits" if plan is not None else "only fine-tunings are planned for GPU types"
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"compute.cloud.gpu is auto, and {why}",
            "name a type: compute.cloud.gpu: L40S"
            + ("" if plan is None else ", or make the recipe smaller: loquela plan RECIPE --fit 80GB"),
        )
    gpus = recipe.compute.processes
    known = any(gpu.name.lower() == name.lower() for gpu in table.gpus)
    if section.usd_per_hour is None or known:
        name = table.named(name).name
    price = section.usd_per_hour if section.usd_per_hour is not None else table.named(name).usd_per_hour
    machine = Machine(cluster=cluster, gpu=name, gpus=gpus, usd_per_hour=price * gpus)
    estimate = next((each for each in plan.gpus if each.name == name), None) if plan is not None else None
    if estimate is None or estimate.minutes is None or estimate.usd is None:
        return machine, None, None
    factor = machine.usd_per_hour / (estimate.usd_per_hour * gpus)
    return machine, round(estimate.usd * factor, 2), estimate.minutes


def _copy_wheel(wheel: Path, work: Path) -> None:
    if not wheel.is_file():
        raise RecipeError(
            ErrorCode.DATASET_NOT_FOUND, f"compute.cloud.install names {wheel}, which is not there", "build it first"
        )
    (work / INPUTS).mkdir(parents=True, exist_ok=True)
    shutil.copy2(wheel, work / INPUTS / wheel.name)
