"""A network shared out over processes layer by layer (FSDP2, torch's `fully_shard`), under our own loop.

Every process keeps a part of each tensor. A layer is gathered when it is used and given back afterwards; gradients are
added up as they are shared out, not averaged, since losses are divided by the weights of the whole step already.

    whole network in every process, proven equal ─► spread ─► Spread.within(loss) ─► backward ─► gradients in parts
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MethodType
from typing import TypeVar

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    OffloadPolicy,
    fully_shard,
    register_fsdp_forward_method,
)

from loquela.core.errors import ErrorCode, InternalError, RecipeError
from loquela.finetuning.training.spread import Spread
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.distributed_section import FsdpOptions
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import ComputeSection
from loquela.training.distributed import Group
from loquela.training.shards import is_share

Value = TypeVar("Value")
ENTRY = "loquela_entered"
# transformers names the layers that no device map may cut through; they are what is gathered at a time.
LAYERS = "_no_split_modules"
OPTIMIZERS = ("adamw", "sgd")


@dataclass
class FsdpSpread(Spread):
    """In shares, by `spread`."""

    network: FSDPModule
    module: nn.Module
    options: FsdpOptions
    group: Group

    name = "fsdp"

    @property
    def in_shares(self) -> bool:
        """Always."""
        return True

    def within(self, compute: Callable[[], Value]) -> Value:
        """As if `compute` were the network's forward: embedding, norm and head are gathered around it."""
        entered: Callable[[Callable[[], Value]], Value] = getattr(self.network, ENTRY)
        value = entered(compute)
        if not torch.is_grad_enabled():
            self.settle()
        return value

    def settle(self) -> None:
        """Back to shares everywhere."""
        for part in _parts(self.module):
            part.reshard()

    def describe(self) -> str:
        """How many tensors lie in shares, and how."""
        tensors = list(self.module.parameters())
        shared = sum(is_share(tensor) for tensor in tensors)
        kept = (
            "gathered again for the backward pass" if self.options.sharding == "full" else "kept for the backward pass"
        )
        where = ", in host memory" if self.options.cpu_offload else ""
        return (
            f"{shared} of {len(tensors)} tensors in shares over {self.group.world_size} processes, "
            f"{sum(1 for _ in _parts(self.module)) - 1} layers {kept}{where}"
        )


def spread(model: CausalModel, options: FsdpOptions, group: Group, device: str) -> FsdpSpread:
    """Share the network out; its parameters are other objects afterwards, under the same names.

    RecipeError(CONFIG_INVALID) for a network whose layers are not known; InternalError when the processes do not hold
    the same weights, or something stayed whole.
    """
    group.prove_equal(model.module)
    mesh = init_device_mesh(device, (group.world_size,))
    policy = CPUOffloadPolicy() if options.cpu_offload else OffloadPolicy()
    for layer in layers_of(model):
        fully_shard(layer, mesh=mesh, reshard_after_forward=options.sharding == "full", offload_policy=policy)
    network = fully_shard(model.network, mesh=mesh, reshard_after_forward=True, offload_policy=policy)
    setattr(network, ENTRY, MethodType(_enter, network))
    register_fsdp_forward_method(model.network, ENTRY)
    for part in _parts(model.module):
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)
        # Made now, while everything that learns says so: an adapter that is off for a moment does not.
        part.unshard()
        part.reshard()
    check_shared(model.module)
    return FsdpSpread(network, model.module, options, group)


def check_shared(module: nn.Module) -> None:
    """InternalError(INVALID_STATE) naming the first parameter that a process still holds whole."""
    left = [name for name, tensor in module.named_parameters() if not is_share(tensor)]
    if left:
        raise InternalError(
            ErrorCode.INVALID_STATE,
            f"{len(left)} tensors were not shared out: {left[0]} first",
            "set compute.strategy: ddp, and report this with the base's name",
        )


def layers_of(model: CausalModel) -> list[nn.Module]:
    """The layers that are gathered one at a time; RecipeError(CONFIG_INVALID) where transformers names none."""
    names = frozenset(getattr(model.network, LAYERS, None) or ())
    found = [module for module in model.network.modules() if type(module).__name__ in names]
    if not found:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "compute.strategy is fsdp, which gathers layer by layer, and transformers does not say what the layers of "
            f"{type(model.network).__name__} are",
            "set compute.strategy: ddp",
        )
    return found


def check_fsdp(section: FinetuneSection, compute: ComputeSection, device: str, processes: int) -> None:
    """RecipeError(CONFIG_INVALID) for what would not hold under FSDP."""
    options = compute.fsdp or FsdpOptions()
    for fault, remedy in _faults(section, options, device, processes):
        raise RecipeError(ErrorCode.CONFIG_INVALID, f"compute.strategy is fsdp, and {fault}", remedy)


def _faults(section: FinetuneSection, options: FsdpOptions, device: str, processes: int) -> Iterator[tuple[str, str]]:
    if processes == 1:
        yield "there is one process: nothing would be shared out", "set compute.processes: 2 or more, or strategy: ddp"
    if section.method in ("qlora", "int8_lora"):
        yield (
            f"the base of method: {section.method} is stored in blocks with scales of their own, which cannot be cut",
            "set finetune.method: lora, or compute.strategy: ddp",
        )
    if section.optimizer not in OPTIMIZERS:
        yield (
            f"optimizer: {section.optimizer} keeps state that is not cut like its parameter",
            "set finetune.optimizer: adamw, or compute.strategy: ddp",
        )
    if options.cpu_offload and device == "cpu":
        yield "cpu_offload moves shares from a GPU to the host; the device is cpu", "leave compute.fsdp.cpu_offload out"
    if device == "mps":
        yield "Apple's devices have no collectives", "set compute.strategy: ddp"


def _parts(module: nn.Module) -> Iterator[FSDPModule]:
    return (part for part in module.modules() if isinstance(part, FSDPModule))


def _enter(network: nn.Module, compute: Callable[[], Value]) -> Value:
    return compute()
