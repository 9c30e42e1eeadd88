"""How processes hold the network that they train together: what the recipe asks for, checked and carried out."""

from __future__ import annotations

import os

from loquela.finetuning.training.fsdp import Spread, check_fsdp, spread
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.distributed_section import FsdpOptions
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import ComputeSection
from loquela.training.distributed import Group


def started_processes(compute: ComputeSection) -> int:
    """How many there will be: those that torchrun has started, else those that the recipe asks for."""
    return int(os.environ.get("WORLD_SIZE", compute.processes))


def check_strategy(section: FinetuneSection, compute: ComputeSection, device: str, processes: int) -> None:
    """RecipeError(CONFIG_INVALID) for a strategy that would not hold with these settings."""
    if compute.strategy == "fsdp":
        check_fsdp(section, compute, device, processes)


def host_first(compute: ComputeSection) -> bool:
    """Whether the network is made in host memory: what is shared out, no device need ever hold whole."""
    return compute.strategy == "fsdp"


def spread_out(causal: CausalModel, compute: ComputeSection, group: Group, device: str) -> Spread:
    """The network where the recipe's strategy wants it; what `spread` raises."""
    if compute.strategy == "fsdp":
        return spread(causal, compute.fsdp or FsdpOptions(), group, device)
    return Spread()
