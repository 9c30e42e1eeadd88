"""What a stage function is given, and what it gives back.

Every entry of `stages.py` is a function `(StageContext) -> StageResult`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.monitoring.events import Bus
from loquela.recipe.schema import Recipe


class StopRequest:
    """A flag that a signal handler or a supervisor raises; loops look at it between steps."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """Ask the running stage to save and stop; the first reason stays."""
        self.reason = self.reason or reason

    @property
    def requested(self) -> bool:
        """Whether somebody asked."""
        return self.reason is not None


@dataclass
class StageContext:
    """Everything a stage may look at.

    `inputs` maps each artifact the stage takes ("corpus", "tokenizer", "shards", "checkpoint") to its verified
    folder; `output` is the folder to fill (the caller makes it, hashes it, writes its manifest and renames it
    into place, except for training, which owns its run folder); `run_directory` holds logs, events and samples.
    """

    recipe: Recipe
    bus: Bus
    inputs: dict[str, Path]
    output: Path
    run_directory: Path
    stop: StopRequest = field(default_factory=StopRequest)


class StageResult(BoundaryModel):
    """What goes into the manifest of the artifact a stage made: `facts` count, `parents` are artifact digests."""

    facts: dict[str, JsonValue] = Field(default_factory=dict)
    summary: str = ""
