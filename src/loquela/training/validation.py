"""Validation during training: the mean loss per token over held-out rows."""

from __future__ import annotations

import numpy as np
import torch

from loquela.training.batches import Batch
from loquela.training.distributed import Group
from loquela.training.rows import Rows
from loquela.training.step import StepRunner


class Validation:
    """The whole validation split, in order; every rank takes its share of each chunk of `batch_rows`."""

    def __init__(self, rows: Rows, runner: StepRunner, group: Group, batch_rows: int) -> None:
        self.rows = rows
        self.runner = runner
        self.group = group
        self.batch_rows = batch_rows

    @torch.no_grad()
    def loss(self) -> float:
        """Mean loss per label token (nats for cross-entropy), the same number on every rank."""
        model = self.runner.model
        model.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.runner.device)
        for start in range(0, self.rows.count, self.batch_rows):
            total += self.runner.loss_sum(self._share(start))
        model.train()
        self.group.sum(total)
        return float(total) / self.rows.label_tokens_total

    def _share(self, start: int) -> Batch:
        rank, world = self.group.rank, self.group.world_size
        size = min(self.batch_rows, self.rows.count - start)
        own = np.arange(start + size * rank // world, start + size * (rank + 1) // world, dtype=np.int64)
        tokens, targets = self.rows.batch(own)
        return Batch(
            torch.from_numpy(tokens), torch.from_numpy(targets), self.rows.label_tokens(own), tuple(own.tolist())
        )
