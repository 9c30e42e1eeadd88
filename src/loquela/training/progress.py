"""What the loop remembers besides weights, optimizer state and ladder; a checkpoint keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from loquela.artifacts.training_records import BestSoFar, EpochMetrics, EpochProgress, TrainingCheckpoint


@dataclass
class Progress:
    """What the loop knows besides weights and optimizer state; `step` steps are done."""

    step: int = 0
    epoch: EpochProgress = field(default_factory=EpochProgress)
    history: list[EpochMetrics] = field(default_factory=list)
    best: BestSoFar | None = None
    tokens_seen: int = 0
    seconds: float = 0.0
    evaluation_seconds: float = 0.0


def progress_of(state: TrainingCheckpoint) -> Progress:
    """The loop's memory as a checkpoint kept it."""
    return Progress(
        step=state.step,
        epoch=state.epoch_progress.model_copy(),
        history=list(state.epoch_history),
        best=state.best,
        tokens_seen=state.tokens_seen,
        seconds=state.training_seconds,
        evaluation_seconds=state.evaluation_seconds,
    )
