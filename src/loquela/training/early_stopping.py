"""Stop when the validation loss no longer improves."""

from __future__ import annotations

from loquela.artifacts.training_records import EarlyStoppingState


class EarlyStopping:
    """`patience` evaluations in a row without a gain of more than `min_delta` end the training; None never does."""

    def __init__(self, patience: int | None, min_delta: float, state: EarlyStoppingState | None = None) -> None:
        self.patience = patience
        self.min_delta = min_delta
        self.state = state or EarlyStoppingState()

    def update(self, validation_loss: float) -> bool:
        """Take one evaluation (NaN is no gain) and say whether the training shall end."""
        best = self.state.best_loss
        if validation_loss == validation_loss and (best is None or validation_loss < best - self.min_delta):
            self.state = EarlyStoppingState(best_loss=validation_loss)
        else:
            self.state = EarlyStoppingState(
                best_loss=best, evaluations_without_gain=self.state.evaluations_without_gain + 1
            )
        return self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether the patience is used up."""
        return self.patience is not None and self.state.evaluations_without_gain >= self.patience
