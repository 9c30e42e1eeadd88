"""Requests, results and errors of the training components, one set per component.

Tensors, iterators and optimizer states stay Python objects; everything else is plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field, JsonValue, SkipValidation, WithJsonSchema
from torch import Tensor, nn

from loquela.core.model import BoundaryModel
from loquela.training.batches import StepBatches

TensorField = Annotated[Tensor, SkipValidation, WithJsonSchema({"description": "a tensor, kept as a Python object"})]
ParameterField = Annotated[
    nn.Parameter, SkipValidation, WithJsonSchema({"description": "a parameter, kept as a Python object"})
]
StateField = Annotated[
    dict[str, Tensor],
    SkipValidation,
    WithJsonSchema({"type": "object", "description": "state tensors by name, kept as Python objects"}),
]
BatchIterator = Annotated[
    Iterator[StepBatches], SkipValidation, WithJsonSchema({"description": "one StepBatches per optimizer step"})
]
LossName = Literal["cross_entropy", "mse", "focal"]
Reduction = Literal["mean", "sum", "none"]
OptimizerName = Literal["adam", "adamw", "sgd", "muon"]


class ObjectModel(BoundaryModel):
    """A boundary model that may carry Python objects."""

    model_config = ConfigDict(arbitrary_types_allowed=True)


class DataLoaderRequest(BoundaryModel):
    """Which shards to read and how; `batch_size` is rows per micro-batch over all ranks."""

    dataset_path: str
    batch_size: int = Field(ge=1)
    shuffle: bool = True
    num_workers: int = Field(0, ge=0)
    prefetch_factor: int = Field(2, ge=1)


class DataLoaderResult(ObjectModel):
    """`batch_iterator` gives the optimizer steps of the first epoch; `num_batches` is steps per epoch."""

    loader_id: UUID = Field(default_factory=uuid4)
    batch_iterator: BatchIterator
    num_batches: int
    estimated_time_per_epoch_seconds: float


class DataLoaderError(BoundaryModel):
    """`batch_id` is the global step whose batch failed, where one did."""

    error_code: Literal["DATASET_NOT_FOUND", "CORRUPT_BATCH", "WORKER_CRASH"]
    batch_id: int | None = None


class TrainingConfig(BoundaryModel):
    """The settings of a training request."""

    num_epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    optimizer: OptimizerName
    gradient_accumulation_steps: int = Field(ge=1)
    checkpoint_every_n_steps: int = Field(ge=1)
    mixed_precision: bool


class TrainingOrchestratorRequest(BoundaryModel):
    """Train this model on that loader."""

    model_id: UUID
    loader_id: UUID
    training_config: TrainingConfig


class TrainingOrchestratorResult(BoundaryModel):
    """Where the training stands."""

    training_id: UUID
    status: Literal["running", "completed", "failed"]
    current_epoch: int
    current_step: int
    latest_checkpoint: str


class TrainingOrchestratorError(BoundaryModel):
    """Why it stopped; `recoverable` tells whether resuming may help."""

    error_code: Literal["NAN_LOSS", "GRADIENT_EXPLOSION", "OOM", "CHECKPOINT_FAILED"]
    step: int
    epoch: int
    recoverable: bool


class LossCalculatorRequest(ObjectModel):
    """`predictions` are logits[..., V], `targets` class ids[...] with -100 where nothing is predicted."""

    predictions: TensorField
    targets: TensorField
    loss_function: LossName = "cross_entropy"
    reduction: Reduction = "mean"


class LossCalculatorResult(ObjectModel):
    """`loss_value` is the reduced loss (the mean under "none"); `per_sample_loss` is float32[...] under "none"."""

    loss_value: float
    per_sample_loss: TensorField | None = None
    numerical_stable: bool


class LossCalculatorError(BoundaryModel):
    """What was wrong, with the numbers behind it."""

    error_code: Literal["NAN_DETECTED", "INF_DETECTED", "SHAPE_MISMATCH"]
    debug_info: dict[str, JsonValue]


class GradientComputerRequest(ObjectModel):
    """`loss_value` is the scalar to differentiate: a tensor, because a plain float has no graph behind it."""

    loss_value: TensorField
    model_parameters: list[ParameterField]
    gradient_clip_norm: float | None = Field(None, gt=0)
    distributed: bool = False


class GradientComputerResult(ObjectModel):
    """The gradients as they stand in the parameters, after clipping; `gradient_norm` is that before."""

    gradients: list[TensorField]
    gradient_norm: float
    clipped: bool


class GradientComputerError(BoundaryModel):
    """`gradient_norm` is NaN when the backward pass gave none."""

    error_code: Literal["GRADIENT_EXPLOSION", "GRADIENT_VANISHING", "BACKWARD_FAILED"]
    gradient_norm: float


class OptimizerStepRequest(ObjectModel):
    """An update of the parameters that the optimizer owns; gradients in the order of its parameters."""

    gradients: list[TensorField]
    optimizer_state: StateField
    learning_rate: float = Field(ge=0)
    weight_decay: float = Field(ge=0)


class OptimizerStepResult(ObjectModel):
    """The state after the update."""

    parameters_updated: bool
    optimizer_state: StateField
    learning_rate_used: float


class OptimizerStepError(BoundaryModel):
    """Why nothing was updated."""

    error_code: Literal["UPDATE_FAILED", "INVALID_STATE"]
    message: str


class ModelCheckpointerRequest(ObjectModel):
    """What to save and why now."""

    model_id: UUID
    training_step: int = Field(ge=0)
    validation_metrics: dict[str, JsonValue] = Field(default_factory=dict)
    optimizer_state: StateField
    save_strategy: Literal["best", "periodic", "final"]


class CheckpointMetadata(BoundaryModel):
    """When a checkpoint was made and what the model was worth then."""

    step: int
    metrics: dict[str, JsonValue]
    timestamp: datetime


class ModelCheckpointerResult(BoundaryModel):
    """Where the checkpoint lies."""

    checkpoint_id: UUID
    checkpoint_path: str
    size_mb: float
    metadata: CheckpointMetadata


class ModelCheckpointerError(BoundaryModel):
    """Which path failed."""

    error_code: Literal["DISK_FULL", "WRITE_PERMISSION", "CORRUPTION"]
    path: str
