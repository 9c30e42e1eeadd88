"""DeepSpeed's ZeRO under our own loop: optimizer state, gradients and weights shared out by its engine.

    stage 1  the optimizer's state        stage 2  gradients too        stage 3  weights too

The engine adds gradients up, clips and updates; the loss, its division, order, whether a step is applied, and
checkpoints are ours. It knows means over processes: a loss goes in times their number, so that sums come out.
What is read and set goes whole, tensor by tensor, so a checkpoint is the one that every other strategy writes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, TypeVar

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.finetuning.training.spread import Spread
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.distributed_section import DeepSpeedOptions
from loquela.recipe.finetune_section import FinetuneSection
from loquela.training.distributed import Group
from loquela.training.shards import PART, is_share, whole

Value = TypeVar("Value")
EXTRA, PURPOSE = "deepspeed", "compute.strategy: deepspeed"
OPTIMIZERS = ("adamw", "sgd")
# Matrices smaller than this many rows of the model stay whole under stage 3: gathering them costs more than they do.
WHOLE_ROWS = 10
NEVER = 2**31 - 1
STATUS_MODULE = "deepspeed.runtime.zero.partition_parameters"


class ZeroOptimizer(Protocol):
    """DeepSpeed's wrapper of the optimizer."""

    averaged_gradients: Mapping[int, list[Tensor] | None]
    # What this process updates, flat, by group of parameters: under stage 1 and 2, and under stage 3.
    single_partition_of_fp32_groups: Sequence[Tensor]
    fp32_partitioned_groups_flat: Sequence[Tensor]

    _hp_optimizer_states_linked: bool

    def _lazy_init_hp_params_optimizer_state(self) -> None:
        """Look again at what states the optimizer has (stage 1 and 2)."""


class Engine(Protocol):
    """What we ask of DeepSpeed's engine."""

    optimizer: ZeroOptimizer

    def __call__(self, compute: Callable[[], Value]) -> Value:
        """The wrapped module's forward."""

    def backward(self, loss: Tensor, *, scale_wrt_gas: bool) -> Tensor:
        """Gradients of a loss, shared out."""

    def set_gradient_accumulation_boundary(self, is_boundary: bool) -> None:
        """Whether the next backward pass is the last of a step."""

    def step(self) -> None:
        """Clip and update; a step whose norm is no number is left out."""


class Entered(nn.Module):
    """The model as DeepSpeed is given it: its forward is whatever is computed with the model's parts."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Callable[[], Value]) -> Value:
        """What `compute` gives."""
        return compute()


@dataclass
class ZeroSpread(Spread):
    """A network under DeepSpeed's engine, by `engage`."""

    engine: Engine
    entered: Entered
    options: DeepSpeedOptions
    group: Group
    config: dict[str, JsonValue]

    name = "deepspeed"

    def within(self, compute: Callable[[], Value]) -> Value:
        """Through the engine, which gathers what `compute` reads."""
        return self.engine(compute)

    def describe(self) -> str:
        """The stage and how much of the network lies in parts."""
        tensors = list(self.entered.parameters())
        parts = sum(is_share(tensor) and tensor.numel() == 0 for tensor in tensors)
        learning = sum(tensor.requires_grad for tensor in tensors)
        what = {1: "optimizer state", 2: "optimizer state and gradients", 3: "optimizer state, gradients and weights"}
        weights = f"; {parts} of {len(tensors)} tensors of the network in parts" if self.options.stage == 3 else ""
        return (
            f"ZeRO stage {self.options.stage}: {what[self.options.stage]} of {learning} trained tensors shared out "
            f"over {self.group.world_size} processes{weights}"
        )

    def add_gradients(self, loss: Tensor, *, last: bool) -> None:
        """The gradients of a micro-batch's loss, added up over the processes."""
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss * self.group.world_size, scale_wrt_gas=False)

    @torch.no_grad()
    def gradient_norm(self) -> Tensor:
        """2-norm of all gradients of a step, before clipping, alike in every process; infinite for one of no number."""
        squares = torch.zeros((), dtype=torch.float64)
        for gradient in self._gradients():
            squares += gradient.double().square().sum().cpu()
        norm = self.group.sum(squares).sqrt()
        return norm if bool(norm.isfinite()) else torch.full_like(norm, math.inf)

    @torch.no_grad()
    def drop_step(self) -> None:
        """Throw the gathered gradients away: DeepSpeed leaves out a step whose norm is no number, and nothing else."""
        held = list(self._gradients())
        for gradient in held:
            gradient.fill_(math.inf)
        self.engine.step()
        # Under stage 3 these buffers are the ones that the next step adds to.
        for gradient in held:
            gradient.zero_()

    def leave(self) -> None:
        """Every process holds the whole network again, without DeepSpeed; nothing is trained after this."""
        if self.options.stage < 3:
            return
        held = {name: whole(each) for name, each in self.entered.named_parameters()}
        getattr(self.engine.optimizer, "destroy")()  # noqa: B009 (only of stage 3)
        available = require(STATUS_MODULE, extra=EXTRA, purpose=PURPOSE).ZeroParamStatus.AVAILABLE
        for name, parameter in self.entered.named_parameters():
            parameter.data = held[name]
            setattr(parameter, "ds_status", available)  # noqa: B010 (DeepSpeed's own mark of what is there)
            delattr(parameter, PART)

    def _gradients(self) -> Iterator[Tensor]:
        """This process's parts of the summed gradients."""
        for parts in self.engine.optimizer.averaged_gradients.values():
            yield from parts or []


def engage(
    model: CausalModel,
    client: torch.optim.Optimizer,
    section: FinetuneSection,
    options: DeepSpeedOptions,
    group: Group,
    device: str,
) -> ZeroSpread:
    """Put the network under DeepSpeed; `client` is the optimizer that it drives.

    ResourceError(MISSING_EXTRA) without DeepSpeed; InternalError when the processes hold different weights.
    """
    group.prove_equal(model.module)
    deepspeed = _deepspeed(device)
    entered = Entered(model.module)
    config = engine_config(section, options, group.world_size, model.facts.hidden_size)
    engine: Engine = deepspeed.initialize(model=entered, optimizer=client, config=config, dist_init_required=False)[0]
    return ZeroSpread(engine, entered, options, group, config)


def engine_config(
    section: FinetuneSection, options: DeepSpeedOptions, processes: int, width: int
) -> dict[str, JsonValue]:
    """DeepSpeed's configuration of the recipe, every value that matters written out."""
    zero: dict[str, JsonValue] = {"stage": options.stage}
    if options.stage == 3:
        zero["stage3_param_persistence_threshold"] = WHOLE_ROWS * width
    return {
        "train_micro_batch_size_per_gpu": math.ceil(section.batch_size / processes),
        "gradient_accumulation_steps": section.gradient_accumulation_steps,
        "gradient_clipping": section.gradient_clip_norm or 0.0,
        "zero_optimization": zero,
        # The optimizer is torch's own, the one that every other strategy uses.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": NEVER,
    }


def check_zero(section: FinetuneSection, precision: str, device: str, processes: int) -> None:
    """RecipeError(CONFIG_INVALID) for what would not hold under DeepSpeed; ResourceError(MISSING_EXTRA) without it."""
    for fault, remedy in _faults(section, precision, device, processes):
        raise RecipeError(ErrorCode.CONFIG_INVALID, f"compute.strategy is deepspeed, and {fault}", remedy)
    _deepspeed(device)


def _faults(section: FinetuneSection, precision: str, device: str, processes: int) -> Iterator[tuple[str, str]]:
    if processes == 1:
        yield "there is one process: nothing would be shared out", "set compute.processes: 2 or more, or strategy: ddp"
    if section.method in ("qlora", "int8_lora"):
        yield (
            f"method: {section.method} was never proven under it",
            "set finetune.method: lora, or compute.strategy: ddp",
        )
    if section.optimizer not in OPTIMIZERS:
        yield (
            f"optimizer: {section.optimizer} keeps state that cannot be cut anywhere",
            "set finetune.optimizer: adamw, or compute.strategy: ddp",
        )
    if precision == "fp16":
        yield "fp16 has two loss scales then, its own and ours", "set compute.precision: bf16 or fp32"
    if device == "mps":
        yield "Apple's devices have no collectives", "set compute.strategy: ddp"


def _deepspeed(device: str) -> ModuleType:
    os.environ.setdefault("DS_ACCELERATOR", device)
    return require("deepspeed", extra=EXTRA, purpose=PURPOSE)
