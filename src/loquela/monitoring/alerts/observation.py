"""What happened, as far as rules look at it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel

Outcome = Literal["finished", "failed", "stopped"]
ObservationKind = Literal[
    "began",  # a run is at work (again)
    "alive",  # it is at work, and moved at `moved_at`
    "moved",  # it said something
    "waits",  # nobody works on it for now
    "step",  # numbers of an optimizer step
    "validated",  # a validation loss
    "ended",  # finished, failed, or stopped on request
    "lease_lost",  # its worker was lost
    "deployment_checked",
    "disk",  # free room
    "tick",  # nothing but time
]


class Observation(BoundaryModel):
    """One look at a subject; fields that its kind has not are null."""

    kind: ObservationKind
    step: int | None = None
    loss: float | None = Field(None, description="training loss of a step, validation loss of a validation")
    gradient_norm: float | None = None
    skipped: bool = Field(False, description="the step was not applied since its numbers were none")
    outcome: Outcome | None = None
    code: str | None = Field(None, description="error code of a failure")
    passed: bool | None = None
    free_bytes: int | None = None
    moved_at: float | None = Field(None, description="when the subject last moved; null: now")
