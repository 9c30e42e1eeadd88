"""The live objects a training consists of, put together once by the stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.context import StopRequest
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.compute.devices import DevicePlan
from loquela.models.contract import LanguageModel
from loquela.monitoring.events import Bus
from loquela.recipe.schema import Recipe
from loquela.training.checkpoint import Checkpointer
from loquela.training.distributed import Group
from loquela.training.loader import BatchLoader
from loquela.training.optimizers import OptimizerSet
from loquela.training.step import StepRunner
from loquela.training.validation import Validation

Sample = Callable[[], list[tuple[str, str]]]


@dataclass
class Parts:
    """What the loop works with.

    `checkpointer` is there on rank 0 only; `identity` holds the fields of a checkpoint's state that never change
    during a run; `load_checkpoint(step)` puts the tensors of that checkpoint into model and optimizer and returns
    its state; `sample` writes (prompt, text) for every fixed prompt.
    """

    recipe: Recipe
    model: LanguageModel
    optimizer: OptimizerSet
    loader: BatchLoader
    runner: StepRunner
    validation: Validation
    group: Group
    plan: DevicePlan
    bus: Bus
    run_directory: Path
    stop: StopRequest
    steps_total: int
    identity: dict[str, JsonValue]
    load_checkpoint: Callable[[int], TrainingCheckpoint]
    checkpointer: Checkpointer | None = None
    sample: Sample | None = None

    def model_tensors(self) -> dict[str, Tensor]:
        """The weights by name, detached, not copied."""
        return {name: tensor.detach() for name, tensor in self.model.state_dict().items()}
