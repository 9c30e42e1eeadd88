"""What an experiment tracker is: built-in ones and those of installed packages (entry points `loquela.trackers`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel

Outcome = Literal["completed", "failed", "interrupted"]


class TrackedRun(BoundaryModel):
    """The run that a tracker is told about; the same `run_id` again goes on with the same tracked run."""

    run_id: str
    name: str = Field(description="the recipe's name")
    directory: Path
    output_directory: Path
    resumed: bool
    settings: dict[str, JsonValue] = Field(description="dotted recipe key → value")
    project: str = Field(description="what runs are kept under")
    uri: str | None = Field(None, description="where the tracker's server or database is")
    offline: bool = Field(False, description="nothing may leave this machine")


class Tracker(Protocol):
    """Called from one thread of its own, never from that of the training; whatever it raises is counted and told."""

    def check(self, run: TrackedRun) -> None:
        """Before anything is written: ResourceError(MISSING_EXTRA, AUTH_FAILED) where it could not work."""

    def start(self, run: TrackedRun) -> str:
        """Open the tracked run, the same one as before for a run that is gone on with; where it can be looked at."""

    def rewind(self, step: int) -> None:
        """Steps after `step` are done again."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers of one optimizer step, e.g. {"train/loss": 2.1}; NaN and infinities are facts."""

    def finish(self, outcome: Outcome) -> None:
        """Deliver what is left and close."""
