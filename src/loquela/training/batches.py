"""What a loader hands to the loop: the plan of a global step and this rank's share of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from loquela.training.rows import Tokens


@dataclass(frozen=True)
class Batch:
    """This rank's share of one micro-batch: tokens[B, T] and targets[B, T], int64; B may be 0.

    `label_tokens` counts the targets that are not ignored; `rows` are the indices of the rows, for the record.
    """

    tokens: Tensor
    targets: Tensor
    label_tokens: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class StepPlan:
    """The global batch of one optimizer step: row indices in order, and its label tokens over all ranks."""

    step: int
    epoch: int
    rows: Tokens
    label_tokens: int


@dataclass(frozen=True)
class StepBatches:
    """A plan and this rank's micro-batches of it; every rank has the same number of them."""

    plan: StepPlan
    micro_batches: list[Batch]
