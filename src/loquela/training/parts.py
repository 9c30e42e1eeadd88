"""The live objects a training consists of, put together once by the stage that trains, from scratch or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue
from torch import Tensor, nn

from loquela.artifacts.context import StopRequest
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.compute.devices import DevicePlan
from loquela.core.errors import ResourceError
from loquela.monitoring.events import Bus
from loquela.recipe.schema import TrainSection
from loquela.training.batches import StepBatches
from loquela.training.checkpoint import Checkpointer
from loquela.training.distributed import Group
from loquela.training.optimizers import OptimizerSet
from loquela.training.shards import is_share, whole
from loquela.training.step import Outcome

Sample = Callable[[], list[tuple[str, str]]]
Tensors = dict[str, Tensor]


class Loader(Protocol):
    """Steps in order, as a pure function of the step; see BatchLoader."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one pass through the rows."""

    def stream(
        self, first_step: int, stop_step: int, is_logged: Callable[[int], bool] | None = None
    ) -> AbstractContextManager[Iterator[StepBatches]]:
        """The steps [first_step, stop_step)."""


class Runner(Protocol):
    """Computes steps; see StepRunner."""

    reads_every_step: bool

    def gradients(self, loaded: StepBatches, norm_limit: float, bus: Bus | None = None) -> Outcome:
        """Gradients of one step, clipped, in the parameters."""

    def update(self, outcome: Outcome, factor: float, bus: Bus | None = None) -> None:
        """Apply them, unless the outcome says not to."""

    def scale_state(self) -> dict[str, JsonValue] | None:
        """State of the fp16 loss scale."""

    def load_scale_state(self, state: dict[str, JsonValue] | None) -> None:
        """Take over what `scale_state` gave."""


class HeldOut(Protocol):
    """Measures the model on rows that it does not learn; see Validation."""

    def loss(self) -> float:
        """Mean loss per label token, the same number on every rank."""


@dataclass
class Parts:
    """What the loop works with.

    `section` are the loop's settings, `place` the recipe's section that they stand in. `checkpointer` is there on
    rank 0 only; `identity` holds the fields of a checkpoint's state that never change during a run;
    `load_checkpoint(step)` puts the tensors of that checkpoint into model and optimizer and returns its state;
    `out_of_memory` says what to do about such an error at a step; `sample` writes (prompt, text) for every fixed
    prompt; `keeps` tells by its name whether a weight is part of a checkpoint.
    """

    section: TrainSection
    place: str
    model: nn.Module
    optimizer: OptimizerSet
    loader: Loader
    runner: Runner
    validation: HeldOut
    group: Group
    plan: DevicePlan
    bus: Bus
    run_directory: Path
    stop: StopRequest
    steps_total: int
    identity: dict[str, JsonValue]
    load_checkpoint: Callable[[int], TrainingCheckpoint]
    out_of_memory: Callable[[BaseException, int], ResourceError]
    checkpointer: Checkpointer | None = None
    sample: Sample | None = None
    keeps: Callable[[str], bool] | None = None

    def model_tensors(self) -> Tensors:
        """The weights that a checkpoint holds, by name, detached, not copied; shares where they are shared out."""
        state = self.model.state_dict(keep_vars=True).items()
        kept = {name: tensor for name, tensor in state if self.keeps is None or self.keeps(name)}
        return {name: tensor if is_share(tensor) else tensor.detach() for name, tensor in kept.items()}

    def whole_model(self) -> Tensors:
        """The same, whole, on the rank that writes; every rank must come here."""
        return self._whole(self.model_tensors())

    def whole_optimizer(self) -> Tensors:
        """The optimizer's state, likewise."""
        return self._whole(self.optimizer.state_tensors())

    def _whole(self, tensors: Tensors) -> Tensors:
        """One tensor at a time, into host memory: the device need never hold all of them."""
        gathered = {}
        for name, tensor in tensors.items():
            value = whole(tensor)
            if self.checkpointer is not None:
                gathered[name] = value.cpu() if is_share(tensor) else value
        return gathered
