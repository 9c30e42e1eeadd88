"""A fine-tuning with everything live: base, model, rows, collator, TRL's trainer, optimizer, runner.

The stage trains with it, the proofs ask it: both use the same parts, so that what is proven is what is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor, nn

from loquela.artifacts.context import StopRequest
from loquela.artifacts.token_rows import TokenRow
from loquela.compute.devices import DevicePlan
from loquela.core.errors import ErrorCode, Interrupted
from loquela.finetuning.training import effective
from loquela.finetuning.training.collate import Collator
from loquela.finetuning.training.loader import TuningBatch, TuningPlan
from loquela.finetuning.training.loss import all_logits
from loquela.finetuning.training.optimizers import build
from loquela.finetuning.training.rows import TuningRows
from loquela.finetuning.training.runner import HeldOutRows, TuningRunner
from loquela.finetuning.training.saved_state import load_tensors, save_tensors
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe, TrainSection
from loquela.tokenizers.contract import TokenizerHandle
from loquela.training.batches import StepBatches
from loquela.training.distributed import Group
from loquela.training.optimizers import OptimizerSet
from loquela.training.shards import own_part


@dataclass
class TuningSession:
    """Rows and model that are ready to be trained; see `finetuning/proofs/subject.py` for what proofs ask.

    `published` are the names of what is trained in the folder that people load.
    """

    recipe: Recipe
    settings: FinetuneSection
    loop: TrainSection
    causal: CausalModel
    tokenizer: TokenizerHandle
    train: TuningRows
    held_out: TuningRows
    collator: Collator
    runner: TuningRunner
    optimizer: OptimizerSet
    validation: HeldOutRows
    group: Group
    plan: DevicePlan
    directory: Path
    examples: Path
    stop_ids: frozenset[int]
    published: Mapping[str, str]
    stop: StopRequest = field(default_factory=StopRequest)

    @property
    def model(self) -> nn.Module:
        """What is trained: the base with its adapter, or the base alone under `method: full`."""
        return self.causal.module

    @property
    def precision(self) -> str:
        """Number format of the arithmetic: fp32, bf16 or fp16."""
        return self.plan.precision

    @property
    def training_rows(self) -> Sequence[TokenRow]:
        """Every row of the split `train`."""
        return self.train.rows

    @property
    def evaluation_rows(self) -> Sequence[TokenRow]:
        """Every held-out row."""
        return self.held_out.rows

    @property
    def in_shares(self) -> bool:
        """Whether the network is shared out, so that every process must do what one does."""
        return self.runner.spread.in_shares

    @property
    def writes(self) -> bool:
        """Whether this process keeps the records."""
        return self.group.leads

    def check_stop(self) -> None:
        """Raise Interrupted when somebody asked the run to stop."""
        requested = self.stop.requested
        if self.in_shares:
            (requested,) = self.group.any(requested)
        if requested:
            raise Interrupted(
                ErrorCode.INTERRUPTED,
                f"stopped by {self.stop.reason or 'another process'} before the training; what was proven is kept in "
                f"{self.directory}",
                "go on with the same command and --resume auto",
            )

    def batch(self, rows: Sequence[TokenRow]) -> Mapping[str, Tensor]:
        """`rows` as the training's collator gives them to the model, on its device."""
        return self.runner.on_device(self.collator(rows))

    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """[B, T, V] of the training's forward pass in evaluation mode, without gradients."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), self.runner.autocast():
                return self.runner.spread.within(lambda: all_logits(self.causal, batch))
        finally:
            self.model.train(training)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of a batch's learnt tokens, as the training computes it, with its graph."""
        held = self._held(batch)
        return self.runner.loss_sum(held) / held.weight

    def step_gradients(self, micro_batches: Sequence[Mapping[str, Tensor]]) -> float:
        """One optimizer step's gradients, accumulated and scaled as the training does, left in `.grad`; its loss.

        Gradients of before are gone. Nothing is clipped and nothing is updated.
        """
        held = [self._held(batch) for batch in micro_batches]
        tokens = sum(batch.label_tokens for batch in held)
        weight = sum(batch.weight for batch in held)
        # Processes that share a network all come with these rows, and their gradients are added up.
        same = self.group.world_size if self.in_shares else 1
        plan = TuningPlan(0, 0, np.zeros(0, dtype=np.int64), tokens, weight * same)
        return self._accumulated(StepBatches(plan, list(held))) / weight

    def _accumulated(self, loaded: StepBatches) -> float:
        """Summed loss of a step whose gradients hold no loss scale; one that overflows is done again at half."""
        scale = self.runner.scale
        try:
            while True:
                total = float(self.runner.accumulate(loaded))
                gradients = [own_part(each.grad) for each in self.runner.parameters if each.grad is not None]
                if self.runner.scale == 1.0 or not gradients:
                    return total
                torch._foreach_mul_(gradients, 1.0 / self.runner.scale)
                if self.runner.scale < 1.0 or all(bool(each.isfinite().all()) for each in gradients):
                    return total
                self.runner.scale /= 2
        finally:
            self.runner.scale = scale

    def new_optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        """The recipe's optimizer over what is trained, without a history."""
        return next(iter(self.new_optimizer_set(learning_rate).optimizers.values()))

    def new_optimizer_set(self, learning_rate: float) -> OptimizerSet:
        """The same with the names of its parameters."""
        section = self.settings.model_copy(update={"learning_rate": learning_rate})
        return build(section, self.loop, self.model, self.plan.device)

    def evaluate(self, rows: Sequence[TokenRow]) -> float:
        """Mean loss of the learnt tokens of `rows`, as the training evaluates."""
        held_out = HeldOutRows(TuningRows(rows), self.runner, self.collator, Group(), self.loop.batch_size)
        return held_out.loss()

    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        """Greedy answers, each without its prompt and with the stop token it ended in, where it did."""
        answers = self.causal.generate_greedy(
            prompts, max_new_tokens=max_new_tokens, stop_ids=sorted(self.stop_ids), pad_id=self.collator.pad_id
        )
        self.runner.spread.settle()
        return answers

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, control tokens left out."""
        return self.tokenizer.decode(list(ids))

    def save_state(self, directory: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write what is trained and the optimizer's state, as the training's checkpoints hold them."""
        save_tensors(directory, self.model, self._named(optimizer), writes=self.writes)
        if self.in_shares:
            self.group.wait_for_all()

    def load_state(self, directory: Path, optimizer: torch.optim.Optimizer) -> None:
        """Read them back into the live model and into `optimizer`."""
        load_tensors(directory, self.model, self._named(optimizer))

    def effective_settings(self) -> dict[str, JsonValue]:
        """Settings that really hold, read from the live parts, by their recipe key below `finetune`."""
        return effective.settings_of(self.settings, self.causal, self.collator, self.optimizer)

    def _named(self, optimizer: torch.optim.Optimizer) -> OptimizerSet:
        """`optimizer` with the names that checkpoints give its state."""
        kind = type(self.optimizer)
        return kind(self.optimizer.parameters, {label: optimizer for label in self.optimizer.optimizers})

    def _held(self, batch: Mapping[str, Tensor]) -> TuningBatch:
        learnt = int((batch["weights"] != 0).sum())
        return TuningBatch(batch["input_ids"], batch["labels"], learnt, (), batch, self.collator.weight_of(batch))
