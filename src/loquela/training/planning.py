"""Which device plan a training runs under: the machine's, or that of the checkpoint it goes on from."""

from __future__ import annotations

import os

import torch

from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.compute.contracts import ComputeResourceManagerRequest, ResourceRequirements
from loquela.compute.devices import DevicePlan, choose_device
from loquela.compute.resources import allocate, check_health, devices_present
from loquela.models.kernels import onednn_available
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import Recipe
from loquela.training.distributed import Group
from loquela.training.opening import Inputs

# Parts of a plan that change the last bits of the result.
EXACTNESS_KEYS = ("device", "precision", "threads", "linear_kernel", "compile")


def plan_for(inputs: Inputs) -> DevicePlan:
    """The plan that this machine gives the recipe; under torchrun its cores are shared by the local ranks."""
    recipe = inputs.recipe
    section = recipe.compute
    if "LOCAL_WORLD_SIZE" in os.environ:
        section = section.model_copy(update={"processes": int(os.environ["LOCAL_WORLD_SIZE"])})
    steps = recipe.train.epochs * -(-inputs.train_rows.count // inputs.rows_per_step)
    return choose_device(
        section,
        family=recipe.model.family,
        config=inputs.config,
        batch_size=recipe.train.batch_size,
        steps=min(steps, recipe.train.max_steps or steps),
    )


def agreed_plan(plan: DevicePlan, group: Group) -> DevicePlan:
    """`plan` with the matrix kernel that rank 0's probe chose: probes are measurements, and may differ."""
    is_onednn = bool(group.from_leader(int(plan.linear_kernel == "onednn")))
    return plan.model_copy(update={"linear_kernel": "onednn" if is_onednn else "torch"})


def allocate_device(plan: DevicePlan, group: Group, bus: Bus) -> None:
    """Prove that this process's device computes rightly, through the ComputeResourceManager.

    Raises ResourceError: INSUFFICIENT_RESOURCES, DEVICE_FAILURE.
    """
    if plan.device == "mps":
        check_health(plan.device, bus)
        return
    own = f"cuda:{torch.cuda.current_device()}" if plan.device == "cuda" else plan.device
    needs = ResourceRequirements(gpu_count=int(plan.device == "cuda"), distributed=group.world_size > 1)
    allocate(
        ComputeResourceManagerRequest(resource_requirements=needs),
        bus,
        inventory=lambda count: [device for device in devices_present(count) if device.device_id == own],
    )


def resumed_plan(recipe: Recipe, plan: DevicePlan, state: TrainingCheckpoint, world_size: int, bus: Bus) -> DevicePlan:
    """`plan` with what the checkpoint was made under, as far as the recipe leaves it open and the machine can.

    What remains different is published: from there on the run is right, but no longer equal to the last bit.
    """
    section = recipe.compute
    chosen = {
        "device": section.device != "auto",
        "precision": section.precision != "auto",
        "threads": section.threads is not None or world_size != state.world_size,
        "linear_kernel": section.linear_kernel != "auto",
        "compile": section.compile != "auto",
    }
    possible = {
        "device": state.plan.get("device") == plan.device,
        "linear_kernel": state.plan.get("linear_kernel") != "onednn" or onednn_available(),
    }
    update = {
        key: state.plan[key]
        for key in EXACTNESS_KEYS
        if key in state.plan and not chosen[key] and possible.get(key, True)
    }
    same = DevicePlan.model_validate({**plan.model_dump(), **update})
    differing = {
        key: f"{state.plan.get(key)} → {getattr(same, key)}"
        for key in EXACTNESS_KEYS
        if state.plan.get(key) != getattr(same, key)
    }
    if state.world_size != world_size:
        differing["processes"] = f"{state.world_size} → {world_size}"
    if differing:
        listed = ", ".join(f"{key} {change}" for key, change in differing.items())
        message = f"not bit-identical to an uninterrupted run from here on: {listed}"
        trace(bus, "TrainingOrchestrator", "plan_changed", message=message, **differing)
    return same
