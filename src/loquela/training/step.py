"""One optimizer step: all micro-batches forward and backward, the sum over ranks, the norm, the update.

    loss of the step = Σ over micro-batches and ranks of summed losses / divisor of the *global* batch

so that 1×8, 2×4, 8×1 micro-batches and 2 ranks × 4 are one and the same gradient. Whether the update is applied is
decided on the device from reduced values, and alike on all ranks. On a CPU the host reads the decision at once,
which costs nothing there; on CUDA it goes into the fused optimizers (`found_inf`), and the host reads it when it
logs. Optimizers without such an input, and fp16 with its scaler, make the host look at every step.

Dropout is seeded by (seed, step, micro-batch, rank): nothing of it needs to be in a checkpoint.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from loquela.models.contract import LanguageModel
from loquela.monitoring.events import Bus
from loquela.recipe.schema import TrainSection
from loquela.training.batches import Batch, StepBatches, StepPlan
from loquela.training.distributed import Group
from loquela.training.gradients import GradientNorm, backward, clip_gradients
from loquela.training.losses import loss_divisor, training_loss
from loquela.training.optimizers import OptimizerSet
from loquela.training.shards import own_part

AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
FIRST_LOSS_SCALE = 65536.0
STEPS_BEFORE_GROWTH = 2000


@dataclass(frozen=True)
class Outcome:
    """What a step came to, still on the device: float32 [3] of mean loss per token, gradient norm, applied (0 or 1)."""

    numbers: Tensor


class GradientSteps(ABC):
    """Steps of one model on this rank's device; what a micro-batch's loss is, its kinds say."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerSet,
        section: TrainSection,
        group: Group,
        *,
        device: str,
        precision: Literal["fp32", "bf16", "fp16"],
        seed: int,
        reads_every_step: bool | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.section = section
        self.group = group
        self.device = torch.device(device)
        self.precision = precision
        self.seed = seed
        self.parameters = list(optimizer.parameters.values())
        self.scale = FIRST_LOSS_SCALE if precision == "fp16" else 1.0
        self.steps_at_scale = 0
        if reads_every_step is None:
            reads_every_step = self.device.type == "cpu" or precision == "fp16" or not self._skips_on_device()
        self.reads_every_step = reads_every_step

    def gradients(self, loaded: StepBatches, norm_limit: float, bus: Bus | None = None) -> Outcome:
        """Gradients of one step, clipped, in the parameters; `norm_limit` is where an explosion begins.

        Under fp16 a step that overflows is done again with half the loss scale, so that no batch is lost to it.
        """
        while True:
            outcome = self._once(loaded, norm_limit, bus)
            if self.precision != "fp16" or bool(outcome.numbers[2]) or self.scale <= 1.0:
                return outcome
            self.scale, self.steps_at_scale = self.scale / 2, 0

    def update(self, outcome: Outcome, factor: float, bus: Bus | None = None) -> None:
        """Apply the gradients at `factor` of the peak learning rates, unless the outcome says not to."""
        if self.reads_every_step:
            if not bool(outcome.numbers[2]):
                return
        else:
            for optimizer in self.optimizer.optimizers.values():
                setattr(optimizer, "found_inf", 1.0 - outcome.numbers[2])  # noqa: B010 (torch reads it by name)
        self.optimizer.step(factor, bus)
        self.steps_at_scale += 1
        if self.precision == "fp16" and self.steps_at_scale >= STEPS_BEFORE_GROWTH:
            self.scale, self.steps_at_scale = self.scale * 2, 0

    def scale_state(self) -> dict[str, JsonValue] | None:
        """State of the fp16 loss scale, None in other precisions."""
        if self.precision != "fp16":
            return None
        return {"scale": self.scale, "steps_at_scale": self.steps_at_scale}

    def load_scale_state(self, state: dict[str, JsonValue] | None) -> None:
        """Take over what `scale_state` gave; None, or a state without numbers, changes nothing."""
        scale = state.get("scale") if state else None
        steps = state.get("steps_at_scale") if state else None
        if self.precision == "fp16" and isinstance(scale, float) and isinstance(steps, int):
            self.scale, self.steps_at_scale = scale, steps

    @abstractmethod
    def loss_sum(self, batch: Batch, bus: Bus | None = None) -> Tensor:
        """Summed loss of a micro-batch, in the run's precision."""

    @property
    @abstractmethod
    def drops_out(self) -> bool:
        """Whether the network draws random numbers while it trains."""

    @abstractmethod
    def divisor(self, plan: StepPlan) -> float:
        """What the summed loss of a global batch is divided by."""

    def counted(self, plan: StepPlan) -> float:
        """What the loss that is reported is a mean over: the step's label tokens."""
        return float(max(1, plan.label_tokens))

    def autocast(self) -> torch.autocast:
        """Arithmetic in the run's precision."""
        return torch.autocast(
            self.device.type, AUTOCAST_TYPES.get(self.precision, torch.bfloat16), self.precision != "fp32"
        )

    def accumulate(self, loaded: StepBatches, bus: Bus | None = None) -> Tensor:
        """Gradients of this rank's micro-batches, unscaled by norm, in the parameters; their summed loss."""
        plan = loaded.plan
        divisor = self.divisor(plan)
        self.model.train()
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        for index, batch in enumerate(loaded.micro_batches):
            if self.drops_out:
                seed_generators(self.device, dropout_seed(self.seed, plan.step, index, self.group.rank))
            told = bus if index == 0 else None
            summed = self.loss_sum(batch, told)
            total += summed.detach()
            self.add_gradients(summed * (self.scale / divisor), told, last=index == len(loaded.micro_batches) - 1)
        return total

    def add_gradients(self, loss: Tensor, bus: Bus | None, *, last: bool) -> None:
        """Add those of a micro-batch's share of the loss; `last`: the step has no more of them."""
        backward(loss, bus)

    def measured(self, bus: Bus | None) -> GradientNorm:
        """The step's gradients summed over ranks, freed of the loss scale, clipped; their norm before."""
        self.group.sum_gradients(self.parameters)
        if self.scale != 1.0:
            held = [own_part(p.grad) for p in self.parameters if p.grad is not None]
            torch._foreach_mul_(held, 1.0 / self.scale)
        return clip_gradients(self.parameters, self.section.gradient_clip_norm, bus, self.group)

    def _once(self, loaded: StepBatches, norm_limit: float, bus: Bus | None) -> Outcome:
        plan = loaded.plan
        total = self.accumulate(loaded, bus)
        with torch.no_grad():
            measured = self.measured(bus)
            self.group.sum(total)
            loss = total / self.counted(plan)
            applied = torch.isfinite(loss) & measured.finite & (measured.norm <= min(norm_limit, _LARGEST))
            numbers = torch.stack([loss, measured.norm.to(loss), applied.to(loss)])
            numbers[2:] = self.group.minimum(numbers[2:].clone())
        return Outcome(numbers)

    def _skips_on_device(self) -> bool:
        return all(
            all(group.get("fused") for group in optimizer.param_groups)
            for optimizer in self.optimizer.optimizers.values()
        )


class StepRunner(GradientSteps):
    """Steps of a network that is trained from scratch: every token that is not ignored is learnt."""

    def __init__(
        self,
        model: LanguageModel,
        optimizer: OptimizerSet,
        section: TrainSection,
        group: Group,
        *,
        device: str,
        precision: Literal["fp32", "bf16", "fp16"],
        seed: int,
        reads_every_step: bool | None = None,
    ) -> None:
        super().__init__(
            model,
            optimizer,
            section,
            group,
            device=device,
            precision=precision,
            seed=seed,
            reads_every_step=reads_every_step,
        )
        self.network = model

    def loss_sum(self, batch: Batch, bus: Bus | None = None) -> Tensor:
        """Summed loss of a micro-batch, in the run's precision."""
        tokens = batch.tokens.to(self.device, non_blocking=True)
        targets = batch.targets.to(self.device, non_blocking=True)
        with self.autocast():
            return training_loss(self.section.loss, self.network, tokens, targets, bus)

    @property
    def drops_out(self) -> bool:
        """Whether the network draws random numbers while it trains."""
        return self.network.config.dropout > 0

    def divisor(self, plan: StepPlan) -> float:
        """What the summed loss of a global batch is divided by."""
        return loss_divisor(self.section.loss, plan.label_tokens)


_LARGEST = torch.finfo(torch.float32).max


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed the generators that dropout on `device` draws from.

    Not torch.manual_seed: for every accelerator that was not used yet it keeps the call, with a formatted stack,
    for later; at every step that is half a millisecond, and a list that grows as long as the run.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def dropout_seed(seed: int, step: int, micro_batch: int, rank: int) -> int:
    """A seed of 63 bits for one micro-batch on one rank."""
    material = f"loquela.dropout.v1\0{seed}\0{step}\0{micro_batch}\0{rank}".encode()
    return int.from_bytes(hashlib.sha256(material).digest()[:8], "little") & (2**63 - 1)
