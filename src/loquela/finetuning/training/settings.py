"""The recipe's section `finetune` in the words of the training loop, which is the same as from scratch."""

from __future__ import annotations

from typing import Literal

from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import OptimizerSection, ScheduleSection, TrainSection

SCHEDULES: dict[str, Literal["constant", "cosine", "linear"]] = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant",
    "constant_with_warmup": "constant",
}
# Adam's memory of squared gradients as fine-tuning usually has it; training from scratch forgets sooner.
BETA2 = 0.999


def loop_settings(section: FinetuneSection) -> TrainSection:
    """What the loop works by: epochs, batch, schedule, clipping, how often it logs, measures and saves."""
    return TrainSection(
        epochs=section.epochs,
        max_steps=section.max_steps,
        batch_size=section.batch_size,
        gradient_accumulation_steps=section.gradient_accumulation_steps,
        learning_rate=max(section.learning_rate, 1e-7),
        gradient_clip_norm=section.gradient_clip_norm,
        optimizer=OptimizerSection(
            name="sgd" if section.optimizer == "sgd" else "adamw",
            weight_decay=section.weight_decay,
            beta2=BETA2,
            momentum=0.0,
        ),
        schedule=ScheduleSection(
            name=SCHEDULES[section.schedule],
            warmup_fraction=0.0 if section.schedule == "constant" else section.warmup_fraction,
            final_fraction=0.0,
        ),
        log_every_steps=section.log_every_steps,
        evaluate_every_steps=section.evaluate_every_steps,
        checkpoint_every_steps=section.checkpoint_every_steps,
        keep_checkpoints=section.keep_checkpoints,
    )
