"""Keeps `status.json` current while training runs, a few times a minute rather than at every step."""

from __future__ import annotations

import time
from pathlib import Path

from loquela.monitoring.events import Event
from loquela.runs.status import PipelineStatus

SAVE_EVERY_SECONDS = 2.0
PROGRESS_EVENTS = ("trainer.metrics.progress.v1", "trainer.job.progress.v1")


class ProgressRecorder:
    """Listener: copies the newest training progress into the status."""

    def __init__(self, status: PipelineStatus, run_directory: Path) -> None:
        self.status = status
        self.run_directory = run_directory
        self._saved_at = 0.0

    def __call__(self, event: Event) -> None:
        if event.name not in PROGRESS_EVENTS:
            return
        self.status.progress = {**self.status.progress, **event.data}
        now = time.monotonic()
        if now - self._saved_at >= SAVE_EVERY_SECONDS:
            self._saved_at = now
            self.status.save(self.run_directory)
