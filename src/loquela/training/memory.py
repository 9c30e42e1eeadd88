"""When memory runs out: which part grew, and a batch that fits with the same effect."""

from __future__ import annotations

import math
from typing import Literal

import torch

from loquela.core.errors import ErrorCode, ResourceError
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.size import memory_plan
from loquela.recipe.schema import TrainSection

ALLOCATOR_SIGNS = ("can't allocate memory", "defaultcpuallocator", "out of memory", "cannot allocate memory")
PART_NAMES = {
    "weights_bytes": "weights",
    "gradients_bytes": "gradients",
    "optimizer_bytes": "optimizer state",
    "activations_bytes": "activations",
    "head_bytes": "output head and loss",
    "data_bytes": "batch",
    "staging_bytes": "copies for checkpoints",
    "scratch_bytes": "kernels' scratch",
    "runtime_bytes": "libraries",
}
# Parts that shrink with the batch; the others need a smaller model or another optimizer.
BATCH_PARTS = ("activations_bytes", "head_bytes", "data_bytes", "scratch_bytes")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: torch's own, Python's, or an allocator's RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in ALLOCATOR_SIGNS)


def smaller_batch(batch_size: int, accumulation: int) -> tuple[int, int] | None:
    """The next smaller batch size with the accumulation that keeps rows per step, None when there is none."""
    rows = batch_size * accumulation
    for size in range(batch_size // 2, 0, -1):
        if rows % size == 0:
            return size, rows // size
    return None


def out_of_memory(
    error: BaseException,
    config: TransformerConfig | RecurrentConfig,
    section: TrainSection,
    *,
    processes: int,
    precision: Literal["fp32", "bf16", "fp16"],
    gradient_checkpointing: bool,
    step: int,
) -> ResourceError:
    """ResourceError(OOM) with the memory plan by part and the proposal."""
    plan = memory_plan(
        config,
        batch_size=math.ceil(section.batch_size / processes),
        precision=precision,
        optimizer=section.optimizer.name,
        gradient_checkpointing=gradient_checkpointing,
    )
    parts = {name: int(getattr(plan, name)) for name in PART_NAMES}
    largest = max(parts, key=lambda name: parts[name])
    listed = ", ".join(
        f"{PART_NAMES[name]} {size / 1e6:.0f} MB" for name, size in sorted(parts.items(), key=lambda item: -item[1])
    )
    proposal = smaller_batch(section.batch_size, section.gradient_accumulation_steps)
    if proposal is None:
        remedy = "choose a smaller model.size or model.max_sequence_length, or set compute.gradient_checkpointing: true"
    else:
        remedy = (
            f"set train.batch_size: {proposal[0]} and train.gradient_accumulation_steps: {proposal[1]} "
            f"(the same {proposal[0] * proposal[1]} rows per step), then run again with --resume auto"
        )
        if largest not in BATCH_PARTS:
            remedy += f"; most of it is {PART_NAMES[largest]}, so a smaller model.size helps more"
    return ResourceError(
        ErrorCode.OOM,
        f"out of memory at step {step}; the largest part is {PART_NAMES[largest]} (planned: {listed}): "
        f"{(str(error).splitlines() or ['no memory left'])[0]}",
        remedy,
        details={
            "step": step,
            "memory_plan_bytes": {PART_NAMES[name]: size for name, size in parts.items()},
            "largest_part": PART_NAMES[largest],
            "batch_size": proposal[0] if proposal else section.batch_size,
            "gradient_accumulation_steps": proposal[1] if proposal else section.gradient_accumulation_steps,
        },
    )
