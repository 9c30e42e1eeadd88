"""What of a step's memory each process still holds, where the strategy shares the network out."""

from __future__ import annotations

import math

from loquela.finetuning.planning.memory import TuningMemory
from loquela.recipe.distributed_section import DeepSpeedOptions, FsdpOptions
from loquela.recipe.schema import ComputeSection

# Layers that are whole at once: the one in use and the one that is fetched meanwhile.
GATHERED_LAYERS = 2
PARTS = {
    1: ("optimizer",),
    2: ("optimizer", "gradients"),
    3: ("optimizer", "gradients", "weights", "adapter"),
}


def shared(memory: TuningMemory, compute: ComputeSection, *, layers: int, trained: int) -> TuningMemory:
    """`memory` of a process that holds everything → that of one of `compute.processes`; `trained` weights learn."""
    if compute.processes == 1 or compute.strategy == "ddp":
        return memory
    if compute.strategy == "deepspeed":
        stage = (compute.deepspeed or DeepSpeedOptions()).stage
        # It updates a copy of its own in fp32.
        memory = memory.model_copy(update={"optimizer": memory.optimizer + 4 * trained})
        return _cut(memory, PARTS[stage], compute.processes, layers)
    options = compute.fsdp or FsdpOptions()
    kept = _cut(memory, PARTS[3], compute.processes, layers)
    if options.sharding == "grad_op":
        whole = memory.weights + memory.adapter
        kept = kept.model_copy(update={"working": memory.working + whole})
    if options.cpu_offload:
        kept = kept.model_copy(update=dict.fromkeys(PARTS[3], 0))
    return kept


def _cut(memory: TuningMemory, parts: tuple[str, ...], processes: int, layers: int) -> TuningMemory:
    update = {part: math.ceil(int(getattr(memory, part)) / processes) for part in parts}
    if "weights" in parts:
        layer = math.ceil((memory.weights + memory.adapter) / max(1, layers))
        update["working"] = memory.working + GATHERED_LAYERS * layer
    return memory.model_copy(update=update)
