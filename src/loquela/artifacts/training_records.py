"""What training writes about itself: per-epoch metrics, and the state inside a checkpoint. No tensors here."""

from __future__ import annotations

import statistics
from typing import Literal

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel

OVERFITTING_GAP = 0.5
# A plateau: the last epochs' validation losses differ by some hundredths of a nat (standard deviation 0.03).
PLATEAU_EPOCHS = 3
PLATEAU_VARIANCE = 1e-3


class EpochMetrics(BoundaryModel):
    """One epoch, 1-indexed; losses are means per token in nats; `gradient_norm` is the epoch's mean, unclipped."""

    epoch_number: int = Field(ge=1)
    train_loss: float
    validation_loss: float
    learning_rate: float
    elapsed_seconds: int
    sample_outputs: list[str] = Field(default_factory=list)
    gradient_norm: float


class FinalMetrics(BoundaryModel):
    """The whole training: time in seconds, the epoch of the lowest validation loss, plateau, overfitting."""

    total_training_time: float
    best_epoch: int
    convergence_achieved: bool
    overfitting_detected: bool


class TrainingMetrics(BoundaryModel):
    """`training_metrics.json`."""

    run_id: str
    epoch_history: list[EpochMetrics] = Field(default_factory=list)
    final_metrics: FinalMetrics | None = None


def final_metrics(epochs: list[EpochMetrics], seconds: float) -> FinalMetrics:
    """Aggregate a non-empty history; a validation loss more than 0.5 above the training loss is overfitting."""
    last = epochs[-1]
    recent = [epoch.validation_loss for epoch in epochs[-PLATEAU_EPOCHS:]]
    return FinalMetrics(
        total_training_time=round(seconds, 3),
        best_epoch=min(epochs, key=lambda epoch: epoch.validation_loss).epoch_number,
        convergence_achieved=len(recent) == PLATEAU_EPOCHS and statistics.pvariance(recent) < PLATEAU_VARIANCE,
        overfitting_detected=last.validation_loss - last.train_loss > OVERFITTING_GAP,
    )


class LossHistory(BoundaryModel):
    """Loss per finished epoch."""

    train_losses: list[float] = Field(default_factory=list)
    val_losses: list[float] = Field(default_factory=list)


class BestSoFar(BoundaryModel):
    """Where the lowest validation loss was."""

    step: int
    epoch: int
    validation_loss: float


class EarlyStoppingState(BoundaryModel):
    """How long the validation loss has not improved."""

    best_loss: float | None = None
    evaluations_without_gain: int = 0


class SkippedRange(BoundaryModel):
    """Steps [start, stop) whose batches are not trained on."""

    start: int
    stop: int


class LadderState(BoundaryModel):
    """Where the run stands on the ladder for non-finite and exploding steps (training/nonfinite.py)."""

    recent_skips: list[int] = Field(default_factory=list, description="steps skipped inside the window")
    skipped_total: int = 0
    rollbacks: int = 0
    skipped_ranges: list[SkippedRange] = Field(default_factory=list)
    norm_mean: float = 0.0
    norms_seen: int = 0


class EpochProgress(BoundaryModel):
    """What an unfinished epoch has summed up so far; sums over tokens, so that a resume adds to them exactly."""

    loss_sum: float = 0.0
    tokens: int = 0
    norm_sum: float = 0.0
    steps: int = 0
    seconds: float = 0.0


class TrainingCheckpoint(BoundaryModel):
    """`state.json` of a checkpoint: everything but the tensors, which lie beside it in safetensors files.

    `step` optimizer steps are done; the next one is `step` (counted from 0). Example order, dropout and schedule
    are functions of (data_digest, seed, step), so this one integer is their whole state; there is no generator
    state to keep.
    """

    format_version: Literal[1] = 1
    version: str = Field("1.0.0", description="MAJOR vocabulary, MINOR architecture, PATCH settings")
    step: int = Field(ge=0)
    epoch: int = Field(ge=0, description="finished epochs")
    reason: Literal["start", "periodic", "stop", "final"]
    seed: int
    data_digest: str
    tokenizer_digest: str | None = None
    vocab_size: int
    model_state: str = "model.safetensors"
    optimizer_state: str = "optimizer.safetensors"
    optimizer_scalars: dict[str, JsonValue] = Field(default_factory=dict)
    training_config: dict[str, JsonValue] = Field(description="the recipe it was trained with")
    plan: dict[str, JsonValue] = Field(default_factory=dict, description="device, precision, threads and kernel used")
    world_size: int = 1
    loss_history: LossHistory = Field(default_factory=LossHistory)
    epoch_history: list[EpochMetrics] = Field(default_factory=list)
    epoch_progress: EpochProgress = Field(default_factory=EpochProgress)
    best: BestSoFar | None = None
    early_stopping: EarlyStoppingState = Field(default_factory=EarlyStoppingState)
    ladder: LadderState = Field(default_factory=LadderState)
    loss_scale: dict[str, JsonValue] | None = Field(None, description="state of the fp16 gradient scaler")
    tokens_seen: int = 0
    training_seconds: float = 0.0
    evaluation_seconds: float = Field(0.0, description="part of training_seconds spent on validation and samples")
    checkpoint_path: str = Field("", description="where it was saved, relative to the run")
