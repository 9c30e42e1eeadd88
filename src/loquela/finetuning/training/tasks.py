"""What a task makes of an examples artifact: its rows, how they are collated, which trainer of TRL says the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from loquela.artifacts.base import BaseIdentity
from loquela.core.errors import ErrorCode, RecipeError
from loquela.finetuning.training.collate import Collator, Layout
from loquela.finetuning.training.preference_collate import JudgedCollator, PairCollator
from loquela.finetuning.training.preference_rows import judgements, mismatched, open_judged, open_pairs
from loquela.finetuning.training.preference_trainer import preference_trainer
from loquela.finetuning.training.rows import TuningRows, open_rows
from loquela.finetuning.training.trainer import TrainerHandle, sft_trainer
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.finetune_section import FinetuneSection


class OpenRows(Protocol):
    """Reads the rows of one split."""

    def __call__(self, examples: Path, split: str, *, vocab_size: int, context: int) -> TuningRows: ...


OPEN: dict[str, OpenRows] = {"sft": open_rows, "dpo": open_pairs, "kto": open_judged}


@dataclass(frozen=True)
class TaskRows:
    """The rows of both splits and the collator that makes batches of them."""

    train: TuningRows
    held_out: TuningRows
    collator: Collator


def open_task(section: FinetuneSection, examples: Path, base: BaseIdentity, layout: Layout) -> TaskRows:
    """Read what the task learns from.

    DataError as of `open_rows`, and CORRUPT_DATA for answers that cannot be compared. RecipeError(CONFIG_INVALID) when
    the attention would let compared answers see each other.
    """
    made = OPEN[section.task]
    train, held_out = (
        made(examples, split, vocab_size=base.tokenizer_size, context=base.context) for split in ("train", "validation")
    )
    pad = base.eos_ids[0]
    if section.task == "sft":
        return TaskRows(train, held_out, Collator(pad, layout))
    if layout != "in_sequence":
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"task: {section.task} lays answers one after another, which attention: {section.attention} cannot do "
            "without a mask of all tokens by all",
            "set finetune.attention: auto, and leave finetune.padding_free out",
        )
    if section.task == "dpo":
        return TaskRows(train, held_out, PairCollator(pad, layout))
    others = {}
    if section.preference_loss == "kto":
        others = {**mismatched(held_out.rows, base.context), **mismatched(train.rows, base.context)}
    return TaskRows(train, held_out, JudgedCollator(pad, layout, judgements(examples), others))


def trainer_for(
    section: FinetuneSection, rows: TaskRows, model: CausalModel, directory: Path, *, device: str, seed: int
) -> TrainerHandle:
    """TRL's trainer of the task; ResourceError(MISSING_EXTRA) without TRL."""

    def collator(numbered: Sequence[Mapping[str, int]]) -> Mapping[str, Tensor]:
        return rows.collator(rows.train.at(np.array([entry["row"] for entry in numbered], dtype=np.int64)))

    if section.task == "sft":
        return sft_trainer(model, directory, device=device, seed=seed, collator=collator, rows=rows.train.count)
    return preference_trainer(
        model,
        directory,
        loss=section.preference_loss,
        options=section.preference,
        paired=section.task == "dpo",
        device=device,
        seed=seed,
        collator=collator,
        rows=rows.train.count,
    )
