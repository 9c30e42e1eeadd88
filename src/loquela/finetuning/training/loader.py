"""Steps of token rows: the order is a pure function of (digest of the rows, seed, step), as from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from loquela.artifacts.token_rows import TokenRow
from loquela.finetuning.training.collate import Collator
from loquela.finetuning.training.rows import Places, TuningRows
from loquela.monitoring.events import Bus
from loquela.training.batches import Batch, StepPlan
from loquela.training.loader import LoaderSettings, StepLoader


@dataclass(frozen=True)
class TuningBatch(Batch):
    """A micro-batch with everything that the network is given; `weight` is the sum of its learnt tokens' weights."""

    inputs: Mapping[str, Tensor]
    weight: float


@dataclass(frozen=True)
class TuningPlan(StepPlan):
    """The rows of a step and the sum of their weights over all ranks, which the step's loss is divided by."""

    weight: float


class TuningLoader(StepLoader):
    """Micro-batches of token rows by global step."""

    def __init__(
        self,
        rows: TuningRows,
        collator: Collator,
        digest: str,
        seed: int,
        settings: LoaderSettings,
        bus: Bus | None = None,
    ) -> None:
        super().__init__(rows, digest, seed, settings, bus)
        self.tuning_rows = rows
        self.collator = collator

    def plan(self, step: int) -> TuningPlan:
        """Which rows the step has, and what they weigh."""
        found = super().plan(step)
        weight = self.tuning_rows.weight(found.rows)
        return TuningPlan(found.step, found.epoch, found.rows, found.label_tokens, weight)

    def _make(self, own: Places) -> Batch:
        return batch_of(self.tuning_rows.at(own), self.collator, tuple(own.tolist()))


def batch_of(rows: Sequence[TokenRow], collator: Collator, places: tuple[int, ...] = ()) -> TuningBatch:
    """The micro-batch of `rows`; none of them, as a rank may have, make one without tokens."""
    if not rows:
        nothing = torch.zeros((0, 0), dtype=torch.int64)
        return TuningBatch(nothing, nothing, 0, places, {}, 0.0)
    inputs = collator(rows)
    counted = TuningRows(rows)
    every = np.arange(counted.count)
    return TuningBatch(
        inputs["input_ids"], inputs["labels"], counted.label_tokens(every), places, inputs, collator.weight_of(inputs)
    )
