"""Steps of a fine-tuning whose gradients, clipping and update are DeepSpeed's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from loquela.finetuning.training.runner import TuningRunner
from loquela.finetuning.training.zero import ZeroSpread
from loquela.finetuning.training.zero_optimizer import ZeroOptimizerSet
from loquela.monitoring.events import Bus
from loquela.training.gradients import GradientNorm, backward
from loquela.training.step import Outcome


class ZeroRunner(TuningRunner):
    """The same losses and decisions; what is shared out is asked of the engine."""

    def __init__(
        self, plain: TuningRunner, optimizer: ZeroOptimizerSet, spread: ZeroSpread, idle: Mapping[str, Tensor]
    ) -> None:
        super().__init__(
            plain.trainer,
            plain.model,
            optimizer,
            plain.section,
            plain.group,
            device=str(plain.device),
            precision=plain.precision,
            seed=plain.seed,
            spread=spread,
            idle=idle,
        )
        self.zero = spread

    def update(self, outcome: Outcome, factor: float, bus: Bus | None = None) -> None:
        """Apply the gradients; those of a step that is not applied are thrown away."""
        if not bool(outcome.numbers[2]):
            self.zero.drop_step()
            return
        super().update(outcome, factor, bus)

    def add_gradients(self, loss: Tensor, bus: Bus | None, *, last: bool) -> None:
        """Through the engine, which shares them out."""
        backward(loss, bus, lambda given: self.zero.add_gradients(given, last=last))

    def measured(self, bus: Bus | None) -> GradientNorm:
        """The norm alone: the engine clips as it updates."""
        norm = self.zero.gradient_norm().float()
        limit = self.section.gradient_clip_norm
        coefficient = torch.ones_like(norm) if limit is None else (limit / norm).clamp(max=1.0)
        return GradientNorm(norm, torch.isfinite(norm), coefficient)
