"""The prediction of a fine-tuning: memory by part, tokens, steps, minutes here and on each GPU type, price."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from loquela.compute.flops import peak_flops_per_second
from loquela.compute.plan import Plan
from loquela.core.entry import resolve
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.finetuning.planning.base_shape import find_shape
from loquela.finetuning.planning.gpus import Gpu, GpuTable
from loquela.finetuning.planning.memory import Load, TuningMemory, trained_parameters, tuning_memory
from loquela.finetuning.planning.rows import RowFacts
from loquela.finetuning.planning.shape import BaseShape
from loquela.finetuning.planning.sharing import shared
from loquela.finetuning.planning.speed import (
    CPU_EFFICIENCY,
    GPU_UTILISATION,
    Epoch,
    cpu_seconds,
    epoch_flops,
    gpu_seconds,
    setup_seconds,
)
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import ComputeSection, Recipe

GIB = 2**30
# What a card's driver keeps, and what one cannot count on: a plan may fill this share of a GPU.
USABLE_SHARE = 0.94
# A GPU here whose peak is not in the table is taken for the slowest that is.
SLOWEST_PEAK = 76.7e12
BUFFER_MB = 500.0


class GpuEstimate(BoundaryModel):
    """What the run would need of one GPU type; `usd` counts its setup too. None: its speed is not known."""

    name: str
    memory_gb: float
    needed_gb: float
    fits: bool
    minutes: float | None
    usd_per_hour: float
    usd: float | None


class TuningPlan(Plan):
    """`train_tokens` are those of an epoch, `trained_tokens` those of them that are learnt, as per second."""

    base: str
    trained_parameters: int
    rows: int
    trained_tokens: int
    longest_row: int
    effective_batch: int
    device: str
    gpus: list[GpuEstimate]
    gpu_table: GpuTable
    cheapest: str | None = Field(description="GPU type with the lowest price of those that fit")


@dataclass(frozen=True)
class Materials:
    """What a plan is made from, besides the recipe."""

    shape: BaseShape
    shape_said: str
    rows: RowFacts
    table: GpuTable
    corpus_mb: float


def plan_tuning(recipe: Recipe, materials: Materials) -> TuningPlan:
    """Predict the run; probes this machine's matrix speed for about 0.1 s when it has no GPU."""
    section, shape, rows = section_of(recipe), materials.shape, materials.rows
    epoch = epoch_of(section, rows, recipe.compute)
    checkpointing = recipe.compute.gradient_checkpointing
    steps = section.max_steps or epoch.steps * section.epochs
    epochs = steps / epoch.steps
    flops = epoch_flops(shape, section, epoch, checkpointing=checkpointing)
    device_of: Callable[[ComputeSection], tuple[str, str]] = resolve("loquela.compute.preflight:device_and_name")
    device, name = device_of(recipe.compute)
    seconds, speed_said = _seconds_here(recipe, shape, epoch, flops, device, name)
    memory = memory_for(recipe, shape, rows, "cuda" if device == "cuda" else "cpu")
    estimates = [_estimate(gpu, recipe, shape, rows, epoch, flops * epochs, epochs) for gpu in materials.table.gpus]
    tokens = round(rows.tokens * epochs)
    return TuningPlan(
        base=section.base,
        parameters=shape.parameters(),
        trained_parameters=trained_parameters(shape, section),
        flops_per_token=round(flops / max(1.0, epoch.padded_tokens)),
        corpus_mb=round(materials.corpus_mb, 3),
        rows=rows.rows,
        train_tokens=rows.tokens,
        trained_tokens=rows.trained_tokens,
        longest_row=rows.longest,
        effective_batch=section.batch_size * section.gradient_accumulation_steps,
        steps_total=steps,
        tokens_total=tokens,
        memory_mb=_in_mib(memory),
        disk_mb=round(_disk_mb(shape, section), 1),
        tokens_per_second=round(rows.trained_tokens / seconds, 1),
        training_minutes=round(seconds * epochs / 60, 2),
        device=name,
        gpus=estimates,
        gpu_table=materials.table,
        cheapest=cheapest_of(estimates),
        assumptions=[
            materials.shape_said,
            rows.said,
            speed_said,
            f"GPU types: {GPU_UTILISATION:.0%} of the published dense bf16 peak; prices: {materials.table.what}",
        ],
    )


def section_of(recipe: Recipe) -> FinetuneSection:
    """The section `finetune`; RecipeError(CONFIG_INVALID) when the recipe has none."""
    if recipe.finetune is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "the recipe has no section finetune", "write finetune: {base: <model>}"
        )
    return recipe.finetune


def shape_for(recipe: Recipe) -> tuple[BaseShape, str]:
    """The shape of the recipe's base and where it was read; RecipeError when nothing tells it."""
    return find_shape(section_of(recipe), Path(recipe.output_directory).expanduser() / "artifacts")


def epoch_of(section: FinetuneSection, rows: RowFacts, compute: ComputeSection) -> Epoch:
    """What an epoch is: rows in micro-batches, each padded to its longest, and the optimizer steps they make."""
    batches = math.ceil(rows.rows / section.batch_size)
    padded = rows.rows * rows.mean_longest if pads(section) else rows.tokens
    return Epoch(
        padded_tokens=padded / compute.processes,
        trained_tokens=rows.trained_tokens / compute.processes,
        row_tokens=max(1.0, rows.tokens / rows.rows),
        micro_batches=batches,
        steps=math.ceil(batches / section.gradient_accumulation_steps),
    )


def pads(section: FinetuneSection) -> bool:
    """Whether rows of several lengths are filled up to the longest of a batch."""
    without = section.attention not in ("sdpa", "eager") if section.padding_free == "auto" else section.padding_free
    return not without and section.batch_size > 1


def memory_for(recipe: Recipe, shape: BaseShape, rows: RowFacts, device: Literal["cpu", "cuda"]) -> TuningMemory:
    """Memory of the step over the longest rows: what must fit is the worst batch."""
    section = section_of(recipe)
    share = math.ceil(section.batch_size / recipe.compute.processes)
    trained = math.ceil(share * rows.longest * min(1.0, rows.trained_share))
    load = Load(
        rows=share,
        row_tokens=max(1, rows.longest),
        trained_tokens=trained,
        masked=False,  # padding stands behind its row, where causal attention does not look
    )
    memory = tuning_memory(
        shape,
        section,
        load,
        device=device,
        element_bytes=4 if device == "cpu" and recipe.compute.precision in ("auto", "fp32") else 2,
        checkpointing=recipe.compute.gradient_checkpointing,
    )
    return shared(memory, recipe.compute, layers=shape.layers, trained=trained_parameters(shape, section))


def fits(memory: TuningMemory, gib: float) -> bool:
    """Whether a step fits on a GPU of `gib` GiB."""
    return memory.total <= USABLE_SHARE * gib * GIB


def cheapest_of(estimates: list[GpuEstimate]) -> str | None:
    """The type with the lowest price among those that fit, None when none does."""
    priced = [(each.usd, each.name) for each in estimates if each.fits and each.usd is not None]
    return min(priced)[1] if priced else None


def _estimate(
    gpu: Gpu, recipe: Recipe, shape: BaseShape, rows: RowFacts, epoch: Epoch, flops: float, epochs: float
) -> GpuEstimate:
    section = section_of(recipe)
    memory = memory_for(recipe, shape, rows, "cuda")
    training = gpu_seconds(flops / epochs, epoch, section, shape, gpu)
    seconds = None if training is None else training * epochs
    processes = recipe.compute.processes
    paid = None if seconds is None else (seconds + setup_seconds(shape)) / 3600 * gpu.usd_per_hour * processes
    return GpuEstimate(
        name=gpu.name,
        memory_gb=gpu.memory_gb,
        needed_gb=round(memory.total / GIB, 2),
        fits=fits(memory, gpu.memory_gb),
        minutes=None if seconds is None else round(seconds / 60, 1),
        usd_per_hour=gpu.usd_per_hour,
        usd=None if paid is None else round(paid, 2),
    )


def _seconds_here(
    recipe: Recipe, shape: BaseShape, epoch: Epoch, flops: float, device: str, name: str
) -> tuple[float, str]:
    """Seconds of an epoch on this machine, and what they rest on."""
    section = section_of(recipe)
    if device == "cuda":
        peak = peak_flops_per_second(name, "bf16") or SLOWEST_PEAK
        seconds = max(flops / (GPU_UTILISATION * peak), 1e-9)
        return seconds, f"speed: {GPU_UTILISATION:.0%} of {peak / 1e12:,.0f} TFLOP/s for {name}"
    probe: Callable[[ComputeSection, int], float] = resolve("loquela.compute.preflight:products_per_second")
    speed = probe(recipe.compute, shape.hidden)
    return (
        cpu_seconds(flops, epoch, section, speed),
        f"speed: {CPU_EFFICIENCY:.0%} of the {speed / 1e9:,.0f} GFLOP/s that this processor was probed at now",
    )


def _in_mib(memory: TuningMemory) -> dict[str, float]:
    parts = {name: round(size / 2**20, 1) for name, size in memory.model_dump().items()}
    return {**parts, "total": round(memory.total / 2**20, 1)}


def _disk_mb(shape: BaseShape, section: FinetuneSection) -> float:
    """Base, merged model, final artifact and checkpoints: two bytes a weight, ten for one that is trained and saved."""
    weights = 2 * shape.parameters() / 1e6
    saved = 12 * trained_parameters(shape, section) / 1e6 * (section.keep_checkpoints + 2)
    return weights * (2 if section.method != "full" else 3) + saved + BUFFER_MB
