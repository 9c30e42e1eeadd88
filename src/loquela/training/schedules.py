"""Learning rate over steps, as a pure function of the step: nothing to save, nothing to restore.

With W warm-up steps of N in all, step s (from 0) has the factor

    warm-up   s < W            (s + 1) / (W + 1)
    constant  s >= W           1
    linear    s >= W           1 - (1 - f) p                   p = (s - W) / (N - 1 - W)
    cosine    s >= W           f + (1 - f) (1 + cos(pi p)) / 2
    warmup_stable_decay        1, then over the last D steps   1 - (1 - f) q,  q = (s - (N - D) + 1) / D

where f is `final_fraction`: step W is the peak and step N - 1 has exactly f (constant excepted). Beyond the
last step the factor stays what it was there.
"""

from __future__ import annotations

import math

from loquela.core.errors import ErrorCode, InternalError
from loquela.recipe.schema import ScheduleSection


def learning_rate_factor(section: ScheduleSection, step: int, steps_total: int) -> float:
    """The share of the peak learning rate at `step` of `steps_total`, in [0, 1].

    Raises InternalError(INTERNAL) for a negative step or an empty run.
    """
    if step < 0 or steps_total < 1:
        raise InternalError(
            ErrorCode.INTERNAL,
            f"no learning rate exists for step {step} of {steps_total}",
            "report this with the recipe that caused it",
        )
    warmup_steps = round(section.warmup_fraction * steps_total)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if section.name == "constant":
        return 1.0
    if section.name == "warmup_stable_decay":
        return _stable_decay(section, step, steps_total, warmup_steps)
    progress = min(1.0, (step - warmup_steps) / max(1, steps_total - 1 - warmup_steps))
    if section.name == "linear":
        return 1.0 - (1.0 - section.final_fraction) * progress
    return section.final_fraction + (1.0 - section.final_fraction) * 0.5 * (1.0 + math.cos(math.pi * progress))


def _stable_decay(section: ScheduleSection, step: int, steps_total: int, warmup_steps: int) -> float:
    """Linear decay over the last share of the steps, never reaching back into the warm-up."""
    decay_steps = min(max(1, round(section.decay_fraction * steps_total)), max(1, steps_total - warmup_steps))
    decayed = min(1.0, max(0.0, (step - (steps_total - decay_steps) + 1) / decay_steps))
    return 1.0 - (1.0 - section.final_fraction) * decayed
