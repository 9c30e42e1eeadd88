"""The task that SkyPilot is given: machine, secrets by name, what is installed, and the guard that runs it all."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, JsonValue

from loquela.compute.cloud.guard import GuardSettings
from loquela.compute.cloud.staging import INPUTS, OUTPUT, RECIPE_NAME
from loquela.compute.cloud.termination import termination_script
from loquela.core.atomic import write_text
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.recipe.cloud_section import CloudSection

TASK_NAME = "task.yaml"
GUARD_NAME = "guard.json"
TERMINATE_NAME = "terminate.sh"
STATE = "guard"
VENV = "$HOME/loquela-venv"
SECONDS_PER_HOUR = 3600


class _Blocks(yaml.SafeDumper):
    """Writes text of several lines as people do."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)


class Machine(BoundaryModel):
    """What is rented: `usd_per_hour` is the price of all its GPUs."""

    cluster: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    gpu: str
    gpus: int = Field(ge=1)
    usd_per_hour: float = Field(gt=0)


def cluster_name(name: str, suffix: str) -> str:
    """A name that every cloud takes: small letters, digits and hyphens."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30] or "run"
    return f"loquela-{plain}-{suffix}"


def write_task(folder: Path, section: CloudSection, machine: Machine, environment: Mapping[str, str]) -> Path:
    """Write `task.yaml` beside `work/`, which holds the recipe, and the guard's settings into `work/`.

    RecipeError(CONFIG_INVALID) when the cap pays for less than twice the time kept back for saving.
    """
    _refuse_small_cap(section, machine)
    work = folder / "work"
    write_text(work / GUARD_NAME, guard_settings(section, machine).model_dump_json(indent=2) + "\n")
    write_text(work / TERMINATE_NAME, termination_script(section.provider))
    task = task_tree(section, machine, environment)
    path = folder / TASK_NAME
    write_text(path, "# Made by `loquela launch`.\n" + yaml.dump(task, Dumper=_Blocks, sort_keys=False, width=1000))
    return path


def task_tree(section: CloudSection, machine: Machine, environment: Mapping[str, str]) -> dict[str, JsonValue]:
    """The task as SkyPilot's schema wants it. Of secrets only the names that are set in `environment` stand in it."""
    resources: dict[str, JsonValue] = {
        "infra": section.provider if section.region is None else f"{section.provider}/{section.region}",
        "accelerators": {machine.gpu: machine.gpus},
        "disk_size": section.disk_gb,
        "use_spot": section.spot,
        "autostop": {"idle_minutes": section.idle_minutes, "down": True},
    }
    if section.image is not None:
        resources["image_id"] = f"docker:{section.image}"
    secrets: dict[str, JsonValue] = {name: None for name in section.forward_env if name in environment}
    return {
        "name": machine.cluster,
        "workdir": "work",
        "num_nodes": 1,
        "resources": resources,
        **({"secrets": secrets} if secrets else {}),
        "setup": _setup(section, machine),
        "run": f"exec {VENV}/bin/python -m loquela.compute.cloud.guard {GUARD_NAME}\n",
    }


def guard_settings(section: CloudSection, machine: Machine) -> GuardSettings:
    """What the guard there goes by."""
    return GuardSettings(
        command=["bash", "-c", f"exec {VENV}/bin/loquela run {RECIPE_NAME} --resume auto --quiet"],
        results=Path(OUTPUT) / "runs",
        state=Path(STATE),
        max_cost_usd=section.max_cost_usd,
        usd_per_hour=machine.usd_per_hour,
        idle_minutes=section.idle_minutes,
        save_minutes=section.save_minutes,
        claim_minutes=section.claim_minutes,
        terminate=["bash", TERMINATE_NAME],
        bucket=None if section.results is None else f"{section.results.rstrip('/')}/{machine.cluster}",
    )


def _setup(section: CloudSection, machine: Machine) -> str:
    """First a clock that ends the machine at the cap even if nothing else there works; then the packages."""
    seconds = int(section.max_cost_usd / machine.usd_per_hour * SECONDS_PER_HOUR)
    wheel = Path(section.install).name if section.install.endswith(".whl") else None
    requirement = shlex.quote(f"{INPUTS}/{wheel}" if wheel else section.install)
    return (
        "set -e\n"
        f"setsid nohup bash -c 'sleep {seconds}; bash {TERMINATE_NAME}' >/dev/null 2>&1 &\n"
        f'[ -x "{VENV}/bin/python" ] || python3 -m venv --system-site-packages "{VENV}"\n'
        f'"{VENV}/bin/pip" install --quiet {requirement}\n'
    )


def _refuse_small_cap(section: CloudSection, machine: Machine) -> None:
    hours = section.max_cost_usd / machine.usd_per_hour
    if hours * 60 < 2 * section.save_minutes:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{section.max_cost_usd:g} USD pay for {hours * 60:.0f} minutes of {machine.gpus} × {machine.gpu}, and "
            f"{section.save_minutes} of them are kept back for saving",
            "raise compute.cloud.max_cost_usd, or take a cheaper GPU in compute.cloud.gpu",
        )
