"""The ladder for steps that are not finite, or explode: skip → roll back → stop.

    skip       the update is not applied, the batch's rows are recorded; at most `max_skipped_steps` in WINDOW steps
    roll back  to the newest checkpoint before the first of these skips; every step from there to the last bad one
               is passed over on the second way, because the harm may be older than its first sign
    stop       after `max_rollbacks` roll-backs: NAN_LOSS or GRADIENT_EXPLOSION

The device decides whether an update is applied (all ranks alike, from reduced values); the ladder only reads the
decisions, in order, and says what follows. It is a pure state machine: what it says depends on nothing but its
settings, its state and the readings, so a run that is killed and resumed climbs the same steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from loquela.artifacts.training_records import LadderState, SkippedRange
from loquela.core.errors import ErrorCode

WINDOW_STEPS = 100
# Mean gradient norm that spikes are measured against: exponential, about the last 50 accepted steps.
NORM_DECAY = 0.98
# Norms of the first steps fall fast; no spike is called before this many were seen.
NORMS_BEFORE_SPIKES = 20


class Verdict(StrEnum):
    """What follows from a reading."""

    APPLIED = "applied"
    SKIPPED = "skipped"
    ROLL_BACK = "roll_back"
    STOP = "stop"


@dataclass(frozen=True)
class Reading:
    """One step as the device saw it: mean loss per token, global gradient norm, whether the update was applied."""

    step: int
    loss: float
    gradient_norm: float
    applied: bool

    @property
    def code(self) -> ErrorCode:
        """What was wrong with a step that was not applied."""
        return ErrorCode.GRADIENT_EXPLOSION if math.isfinite(self.loss) else ErrorCode.NAN_LOSS


class Ladder:
    """Reads every step and keeps count."""

    def __init__(
        self,
        max_skipped_steps: int,
        max_rollbacks: int,
        spike_factor: float | None,
        state: LadderState | None = None,
    ) -> None:
        self.max_skipped_steps = max_skipped_steps
        self.max_rollbacks = max_rollbacks
        self.spike_factor = spike_factor
        self.state = state.model_copy(deep=True) if state is not None else LadderState()

    @property
    def norm_limit(self) -> float:
        """Gradient norm above which the next step counts as an explosion; infinite when that is off."""
        if self.spike_factor is None or self.state.norms_seen < NORMS_BEFORE_SPIKES:
            return math.inf
        return self.spike_factor * self.state.norm_mean

    def passes_over(self, step: int) -> bool:
        """Whether `step` lies in a range that a roll-back skips."""
        return any(skipped.start <= step < skipped.stop for skipped in self.state.skipped_ranges)

    @property
    def incident_began(self) -> int:
        """The first step skipped inside the window: what was saved before it is not touched by the incident."""
        return self.state.recent_skips[0]

    def read(self, reading: Reading) -> Verdict:
        """Take one step's reading, in order of steps, and say what follows."""
        state = self.state
        if reading.applied:
            weight = NORM_DECAY if state.norms_seen else 0.0
            state.norm_mean = weight * state.norm_mean + (1.0 - weight) * reading.gradient_norm
            state.norms_seen += 1
            return Verdict.APPLIED
        state.recent_skips = [*self._recent(reading.step), reading.step]
        state.skipped_total += 1
        if len(state.recent_skips) <= self.max_skipped_steps:
            return Verdict.SKIPPED
        return Verdict.ROLL_BACK if state.rollbacks < self.max_rollbacks else Verdict.STOP

    def rolled_back(self, checkpoint: LadderState, checkpoint_step: int, last_bad_step: int) -> None:
        """Go on from a checkpoint's state, passing over [checkpoint_step, last_bad_step] on the second way."""
        rollbacks = self.state.rollbacks + 1
        ranges = [*self.state.skipped_ranges, SkippedRange(start=checkpoint_step, stop=last_bad_step + 1)]
        self.state = checkpoint.model_copy(
            deep=True, update={"rollbacks": rollbacks, "skipped_ranges": ranges, "recent_skips": []}
        )

    def _recent(self, step: int) -> list[int]:
        return [skipped for skipped in self.state.recent_skips if step - skipped < WINDOW_STEPS]
