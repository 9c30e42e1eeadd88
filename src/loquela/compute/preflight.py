"""Can this machine do what the recipe asks, before anything is downloaded or written?"""

from __future__ import annotations

import math

import torch

from loquela.artifacts.proof import Proof
from loquela.compute.devices import check_precision, find_device
from loquela.compute.memory import available_memory_bytes
from loquela.compute.probe import probe_cpu, probe_width
from loquela.compute.provider import LocalProvider
from loquela.compute.threads import usable_cores, usable_processors
from loquela.core.errors import ErrorCode, ResourceError
from loquela.models.config import model_config
from loquela.models.size import memory_plan
from loquela.recipe.schema import ComputeSection, Recipe


def check_machine(recipe: Recipe) -> list[Proof]:
    """Proofs: the device is there, the step's memory plan fits into what is free, the threads have processors.

    Fine-tuning has a plan of its own, since its network is not the recipe's.

    Raises RecipeError(CONFIG_INVALID) for a precision that the device cannot use.
    """
    try:
        device, reason = find_device(recipe.compute.device)
    except ResourceError as error:
        return [Proof(name="device", passed=False, message=error.message, remedy=error.remedy, code=error.code)]
    found = Proof(name="device", passed=True, message=f"device {device}: {reason}", numbers={"device": device})
    if recipe.finetune is not None:
        return [found, _threads(recipe)]
    check_precision(recipe.compute, device, model_config(recipe.model, recipe.tokenizer.vocab_size))
    return [found, _memory(recipe, device), _threads(recipe)]


def matrix_flops_per_second(recipe: Recipe) -> float:
    """Speed of fp32 products on this machine's CPU: one thread's by a probe of about 0.1 s, times a run's threads."""
    threads = LocalProvider(recipe.compute).threads()
    return threads * probe_cpu(model_config(recipe.model, recipe.tokenizer.vocab_size)).best_fp32


def products_per_second(compute: ComputeSection, width: int) -> float:
    """The same for a network of `width`."""
    return LocalProvider(compute).threads() * probe_width(width).best_fp32


def device_and_name(compute: ComputeSection) -> tuple[str, str]:
    """The device that a run here would use, and the driver's name of a GPU; ResourceError when it is not there."""
    device, _ = find_device(compute.device)
    return device, torch.cuda.get_device_name() if device == "cuda" else device


def gpu_memory_bytes() -> int:
    """Memory of the first GPU."""
    return int(torch.cuda.get_device_properties(0).total_memory)


def _memory(recipe: Recipe, device: str) -> Proof:
    processes = recipe.compute.processes
    plan = memory_plan(
        model_config(recipe.model, recipe.tokenizer.vocab_size),
        batch_size=math.ceil(recipe.train.batch_size / processes),
        precision="fp32" if recipe.compute.precision == "auto" else recipe.compute.precision,
        optimizer=recipe.train.optimizer.name,
        gradient_checkpointing=recipe.compute.gradient_checkpointing,
    )
    # Processes on one machine share its memory; each GPU has its own.
    needed = plan.total_bytes * (1 if device == "cuda" else processes)
    free = free_bytes(device, recipe.compute.memory_limit_mb)
    largest = max(
        (name for name in type(plan).model_fields if name not in ("total_bytes", "runtime_bytes")),
        key=lambda name: int(getattr(plan, name)),
    ).removesuffix("_bytes")
    return Proof(
        name="memory",
        passed=needed <= free,
        message=f"a training step needs about {needed / 1e6:,.0f} MB on {device}, {free / 1e6:,.0f} MB are free",
        remedy=f"the largest part is {largest}: lower train.batch_size and raise train.gradient_accumulation_steps "
        "by the same factor, or set compute.gradient_checkpointing: true, or choose a smaller model.size",
        code=ErrorCode.OOM,
        numbers={"needed_bytes": needed, "free_bytes": free, "plan": plan.model_dump()},
    )


def _threads(recipe: Recipe) -> Proof:
    """Threads that wait for each other's processor make every step slower, so a recipe may not ask for such."""
    asked, processes = recipe.compute.threads, recipe.compute.processes
    threads, processors = LocalProvider(recipe.compute).threads(), usable_processors()
    return Proof(
        name="threads",
        passed=asked is None or asked <= processors,
        message=f"{threads} thread(s) in each of {processes} process(es), on {processors} usable processor(s)",
        remedy=f"set compute.threads to {max(1, usable_cores() // processes)}, or leave it out",
        code=ErrorCode.INSUFFICIENT_RESOURCES,
        numbers={"threads": threads, "processes": processes, "processors": processors, "cores": usable_cores()},
    )


def free_bytes(device: str, limit_mb: int | None) -> int:
    """Bytes that training may take on `device`: what is free, within the recipe's own limit."""
    free = int(torch.cuda.mem_get_info()[0]) if device == "cuda" else available_memory_bytes()
    return free if limit_mb is None else min(free, limit_mb * 2**20)
