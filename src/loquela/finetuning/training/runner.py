"""Steps and evaluation of a fine-tuning: the loop's own arithmetic, the loss of TRL's trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from loquela.finetuning.training.collate import Collator
from loquela.finetuning.training.loader import TuningBatch, TuningPlan, batch_of
from loquela.finetuning.training.rows import TuningRows
from loquela.finetuning.training.spread import Spread
from loquela.finetuning.training.trainer import TrainerHandle
from loquela.monitoring.events import Bus
from loquela.recipe.schema import TrainSection
from loquela.training.batches import Batch, StepPlan
from loquela.training.distributed import Group
from loquela.training.optimizers import OptimizerSet
from loquela.training.step import GradientSteps


class TuningRunner(GradientSteps):
    """Computes steps; a batch's loss is summed over its learnt tokens and divided by those of the whole step."""

    def __init__(
        self,
        trainer: TrainerHandle,
        model: nn.Module,
        optimizer: OptimizerSet,
        section: TrainSection,
        group: Group,
        *,
        device: str,
        precision: Literal["fp32", "bf16", "fp16"],
        seed: int,
        spread: Spread | None = None,
        idle: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(
            model, optimizer, section, group, device=device, precision=precision, seed=seed, reads_every_step=True
        )
        self.trainer = trainer
        self.spread = spread or Spread()
        self._idle = idle
        self._drops_out = any(_dropout(module) > 0 for module in model.modules())

    def loss_sum(self, batch: Batch, bus: Bus | None = None) -> Tensor:
        """Summed loss of a micro-batch, in the run's precision; zero for one without rows.

        Where the network lies in shares a process without rows goes through the `idle` batch, and makes nothing of it:
        the others need its shares.
        """
        if isinstance(batch, TuningBatch) and batch.inputs:
            return self._computed(batch.inputs)
        if self._idle is None:
            return torch.zeros((), device=self.device, requires_grad=True)
        return self._computed(self._idle) * 0.0

    def _computed(self, inputs: Mapping[str, Tensor]) -> Tensor:
        held = self.on_device(inputs)
        with self.autocast():
            return self.spread.within(lambda: self.trainer.compute_loss(self.model, held, num_items_in_batch=1.0))

    def on_device(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same tensors where the network is; lengths stay with the host, which cuts by them."""
        return {
            name: tensor if name == "lengths" else tensor.to(self.device, non_blocking=True)
            for name, tensor in inputs.items()
        }

    @property
    def drops_out(self) -> bool:
        """Whether anything of the network draws random numbers while it trains."""
        return self._drops_out

    def divisor(self, plan: StepPlan) -> float:
        """The weights of all learnt tokens of the step, over all ranks."""
        return plan.weight if isinstance(plan, TuningPlan) else float(plan.label_tokens)

    def counted(self, plan: StepPlan) -> float:
        """The same: the loss that is reported is the one that is minimised."""
        return self.divisor(plan)


class HeldOutRows:
    """Mean loss of the learnt tokens of rows that are not trained on; ranks share each chunk of rows."""

    def __init__(self, rows: TuningRows, runner: TuningRunner, collator: Collator, group: Group, size: int) -> None:
        self.rows = rows
        self.runner = runner
        self.collator = collator
        self.group = group
        self.size = size

    @torch.no_grad()
    def loss(self) -> float:
        """Mean loss per weight of a learnt token, in nats; the same number on every rank."""
        model = self.runner.model
        training = model.training
        model.eval()
        numbers = torch.zeros(2, dtype=torch.float64)
        for start in range(0, self.rows.count, self.size):
            size = min(self.size, self.rows.count - start)
            rank, world = self.group.rank, self.group.world_size
            own = self.rows.rows[start + size * rank // world : start + size * (rank + 1) // world]
            batch = batch_of(own, self.collator)
            numbers += torch.tensor([float(self.runner.loss_sum(batch)), batch.weight], dtype=torch.float64)
        model.train(training)
        self.group.sum(numbers)
        return float(numbers[0] / numbers[1])


def _dropout(module: nn.Module) -> float:
    """The share that a module drops; attention of transformers keeps it as a number of its own."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p
    share = module.__dict__.get("attention_dropout")
    return float(share) if isinstance(share, int | float) else 0.0
