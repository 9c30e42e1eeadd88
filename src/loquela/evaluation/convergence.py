"""What the training history of a run says about its end: a plateau, overfitting, any gain at all."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from loquela.artifacts.manifest import corrupt
from loquela.artifacts.training_records import TrainingMetrics, final_metrics
from loquela.evaluation.contracts import ConvergenceReport

TRAINING_METRICS_NAME = "training_metrics.json"


def convergence_report(run_directory: Path) -> ConvergenceReport:
    """Read `training_metrics.json`; a folder without one gives nulls, a damaged one DataError(CORRUPTION).

    `convergence_achieved`: the variance of the last validation losses is below the plateau's;
    `overfitting_detected`: the last validation loss is more than 0.5 above the training loss.
    """
    path = run_directory / TRAINING_METRICS_NAME
    if not path.is_file():
        return ConvergenceReport(epochs=0)
    try:
        history = TrainingMetrics.model_validate_json(path.read_bytes()).epoch_history
    except ValidationError as error:
        raise corrupt(run_directory, f"{TRAINING_METRICS_NAME} cannot be read as training metrics") from error
    if not history:
        return ConvergenceReport(epochs=0)
    final = final_metrics(history, 0.0)
    return ConvergenceReport(
        epochs=len(history),
        final_train_loss=history[-1].train_loss,
        first_validation_loss=history[0].validation_loss,
        final_validation_loss=history[-1].validation_loss,
        best_epoch=final.best_epoch,
        best_validation_loss=min(epoch.validation_loss for epoch in history),
        convergence_achieved=final.convergence_achieved,
        overfitting_detected=final.overfitting_detected,
    )
