"""What the loop tells: events for whoever listens, lines in metrics.jsonl, training_metrics.json after each epoch."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

from pydantic import JsonValue

from loquela.artifacts.training_records import EpochMetrics, FinalMetrics, TrainingMetrics
from loquela.core.atomic import write_text
from loquela.monitoring.contracts import MetricsCollectorRequest, StepMetrics
from loquela.monitoring.events import trace
from loquela.monitoring.metrics import MetricsCollector
from loquela.training.nonfinite import Reading
from loquela.training.records import METRICS_NAME, TRAINING_METRICS_NAME

if TYPE_CHECKING:
    from loquela.training.parts import Parts


class Reporter:
    """Publishes on every rank's bus (only rank 0 has listeners) and writes on rank 0."""

    def __init__(self, parts: Parts, step: int) -> None:
        self.parts = parts
        self._tokens = 0
        self._steps = 0
        self._window_began = time.perf_counter()
        self._tokens_per_second = 0.0
        self._step_seconds = 0.0
        self._validation_loss: float | None = None
        self._collector: MetricsCollector | None = None

    def took(self, tokens: int) -> None:
        """Count one step for the speed."""
        self._tokens += tokens
        self._steps += 1

    def step_done(self, reading: Reading, learning_rate: float, tokens_seen: int) -> None:
        """A logged step."""
        self._measure_speed()
        parts = self.parts
        step = reading.step + 1
        record: dict[str, JsonValue] = {
            "step": step,
            "epoch": reading.step // parts.loader.steps_per_epoch + 1,
            "loss": reading.loss,
            "learning_rate": learning_rate,
            "gradient_norm": reading.gradient_norm,
            "tokens_seen": tokens_seen,
            "tokens_per_second": round(self._tokens_per_second, 1),
        }
        custom = {name: record[name] for name in ("epoch", "tokens_seen", "tokens_per_second")}
        aggregated = self._write(
            step,
            StepMetrics(
                loss=reading.loss,
                learning_rate=learning_rate,
                gradient_norm=reading.gradient_norm,
                custom_metrics=custom,
            ),
        )
        trace(parts.bus, "TrainingOrchestrator", "step_complete", step=step, loss=reading.loss)
        trace(parts.bus, "TrainingOrchestrator", "gradient_computed", step=step, gradient_norm=reading.gradient_norm)
        parts.bus.publish(
            "trainer.metrics.progress.v1",
            {
                **record,
                **aggregated,
                "steps_total": parts.steps_total,
                "epochs": parts.section.epochs,
                "validation_loss": self._validation_loss,
                "eta_seconds": round((parts.steps_total - step) * self._step_seconds, 1),
            },
        )

    def paused(self, seconds: float) -> None:
        """Time that was no training: evaluations and samples do not count as speed."""
        self._window_began += seconds

    def validated(self, step: int, epoch: int, loss: float) -> None:
        """An evaluation."""
        self._validation_loss = loss
        self._write(step, StepMetrics(custom_metrics={"epoch": epoch, "validation_loss": loss}))
        trace(self.parts.bus, "TrainingOrchestrator", "validated", step=step, epoch=epoch, validation_loss=loss)

    def epoch_done(self, metrics: EpochMetrics, history: list[EpochMetrics]) -> None:
        """A finished epoch."""
        parts = self.parts
        self.write_metrics(history)
        parts.bus.publish(
            "trainer.job.progress.v1",
            {
                "epoch": metrics.epoch_number,
                "epochs": parts.section.epochs,
                "train_loss": metrics.train_loss,
                "validation_loss": metrics.validation_loss,
            },
        )

    def write_metrics(self, history: list[EpochMetrics], final: FinalMetrics | None = None) -> None:
        """`training_metrics.json` as it stands; `final` when the training has ended."""
        if not self.parts.group.leads:
            return
        metrics = TrainingMetrics(
            run_id=pipeline_id(self.parts),
            epoch_history=history,
            final_metrics=final,
        )
        write_text(self.parts.run_directory / TRAINING_METRICS_NAME, metrics.model_dump_json(indent=2) + "\n")

    def rolled_back(self, step: int, last_bad_step: int, rollbacks: int) -> None:
        """The ladder's second rung."""
        self._window_began = time.perf_counter()
        self._tokens = self._steps = 0
        if self._collector is not None:
            self._collector.truncate_after(step)
        trace(
            self.parts.bus,
            "TrainingOrchestrator",
            "rolled_back",
            step=step,
            skipped_from=step,
            skipped_to=last_bad_step,
            rollbacks=rollbacks,
        )

    def _measure_speed(self) -> None:
        now = time.perf_counter()
        elapsed = now - self._window_began
        if self._steps and elapsed > 0:
            self._tokens_per_second = self._tokens / elapsed
            self._step_seconds = elapsed / self._steps
        self._window_began, self._tokens, self._steps = now, 0, 0

    def _write(self, step: int, metrics: StepMetrics) -> dict[str, JsonValue]:
        """Hand the numbers to the metrics collector, opened when there is something to write; mean and trend."""
        directory = self.parts.run_directory
        if not self.parts.group.leads:
            return {}
        if self._collector is None:
            self._collector = MetricsCollector(directory / METRICS_NAME, self.parts.bus)
        training_id = uuid.uuid5(uuid.NAMESPACE_URL, directory.name)
        request = MetricsCollectorRequest(training_id=training_id, step=step, metrics=metrics)
        return self._collector.collect(request).aggregated_metrics.model_dump(mode="json")


def pipeline_id(parts: Parts) -> str:
    """The pipeline's id where the run has a status file that names one, else the run's own name."""
    path = parts.run_directory / "status.json"
    if path.is_file():
        status = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(status, dict) and isinstance(status.get("pipeline_id"), str):
            return str(status["pipeline_id"])
    return parts.run_directory.name
