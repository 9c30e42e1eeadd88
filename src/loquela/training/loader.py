"""From a global step to its micro-batches: a pure function of (digest, seed, step).

    step ──► epoch and places ──order──► rows of the global batch ──cut──► micro-batches ──cut──► this rank's rows

The global batch has batch_size × accumulation rows, whatever the number of ranks; the last one of an epoch
keeps what is left, so every row is seen exactly once an epoch. Micro-batches are consecutive cuts of the
global batch and ranks consecutive cuts of a micro-batch, so that joining all of them gives the same rows in the
same order for every world size and accumulation. A rank's share may be smaller than another's, or empty;
losses are therefore summed and divided by `StepPlan.label_tokens`, which every rank knows without asking.
"""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from loquela.artifacts.shards import TokenShards
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.monitoring.events import Bus, SilentBus, trace
from loquela.training.batches import Batch, StepBatches, StepPlan
from loquela.training.contracts import DataLoaderRequest, DataLoaderResult
from loquela.training.order import example_indices
from loquela.training.prefetch import in_order
from loquela.training.rows import Rows, Tokens


@dataclass(frozen=True)
class LoaderSettings:
    """`batch_size` is rows per micro-batch over all ranks; `workers` 0 loads in the caller's thread."""

    batch_size: int
    accumulation: int = 1
    rank: int = 0
    world_size: int = 1
    shuffle: bool = True
    workers: int = 0
    prefetch_factor: int = 2
    pin_memory: bool = False


class CountedRows(Protocol):
    """What a plan must know of rows."""

    @property
    def count(self) -> int:
        """How many there are."""

    def label_tokens(self, indices: Tokens, /) -> int:
        """How many targets the rows at `indices` have together."""


class StepLoader(ABC):
    """Micro-batches of rows by global step. It has no state: every method depends on its arguments alone."""

    def __init__(
        self, rows: CountedRows, digest: str, seed: int, settings: LoaderSettings, bus: Bus | None = None
    ) -> None:
        self._counted = rows
        self.digest = digest
        self.seed = seed
        self.settings = settings
        self.bus: Bus = bus or SilentBus()
        self.global_batch_rows = settings.batch_size * settings.accumulation
        self.steps_per_epoch = -(-rows.count // self.global_batch_rows)
        trace(
            self.bus,
            "DataLoader",
            "loader_initialized",
            rows=rows.count,
            steps_per_epoch=self.steps_per_epoch,
            batch_size=settings.batch_size,
            world_size=settings.world_size,
        )

    def plan(self, step: int) -> StepPlan:
        """Which rows global step `step` (from 0, over all epochs) consists of."""
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self.global_batch_rows
        places = np.arange(start, min(start + self.global_batch_rows, self._counted.count), dtype=np.int64)
        if self.settings.shuffle:
            places = example_indices(self.digest, self.seed, epoch, places, self._counted.count)
        return StepPlan(step, epoch, places, self._counted.label_tokens(places))

    def micro_batches(self, step: int) -> list[Batch]:
        """This rank's micro-batches of a global step.

        Raises DataError(CORRUPT_BATCH) for data that cannot be a batch, ResourceError(WORKER_CRASH) when
        reading fails for another reason; both name the step as `batch_id`.
        """
        return self.load(step).micro_batches

    def load(self, step: int) -> StepBatches:
        """`micro_batches` together with the plan they were cut from; the same errors."""
        plan = self.plan(step)
        size = self.settings.batch_size
        try:
            return StepBatches(plan, [self._batch(plan.rows[i : i + size]) for i in range(0, plan.rows.size, size)])
        except DataError as error:
            raise corrupt_batch(step, error) from error
        except (OSError, ValueError, RuntimeError) as error:
            raise worker_crash(step, error) from error

    @contextmanager
    def stream(
        self, first_step: int, stop_step: int, is_logged: Callable[[int], bool] | None = None
    ) -> Iterator[Iterator[StepBatches]]:
        """The steps [first_step, stop_step) in order, read ahead by worker threads where there are workers.

        A context manager: leaving it, whatever the reason, cancels and joins the threads. `is_logged` tells at
        which steps batch_loaded is published (none when absent). Errors are those of `load`, raised in the
        place of the step that failed, after all steps before it.
        """
        steps = range(first_step, stop_step)
        if self.settings.workers:
            depth = self.settings.prefetch_factor * self.settings.workers
            trace(self.bus, "DataLoader", "prefetch_started", workers=self.settings.workers, depth=depth)
            with in_order(self.load, steps, self.settings.workers, depth) as loaded:
                yield self._traced(loaded, is_logged)
        else:
            yield self._traced(map(self.load, steps), is_logged)

    def _traced(self, loaded: Iterator[StepBatches], is_logged: Callable[[int], bool] | None) -> Iterator[StepBatches]:
        for batches in loaded:
            plan = batches.plan
            if is_logged is not None and is_logged(plan.step):
                trace(
                    self.bus,
                    "DataLoader",
                    "batch_loaded",
                    step=plan.step,
                    epoch=plan.epoch,
                    rows=int(plan.rows.size),
                    label_tokens=plan.label_tokens,
                    order=hashlib.sha256(plan.rows.tobytes()).hexdigest()[:16],
                )
            yield batches

    def _batch(self, micro: Tokens) -> Batch:
        """This rank's consecutive cut of one micro-batch: floor-divided bounds differ by at most one row."""
        rank, world = self.settings.rank, self.settings.world_size
        return self._make(micro[micro.size * rank // world : micro.size * (rank + 1) // world])

    @abstractmethod
    def _make(self, own: Tokens) -> Batch:
        """The batch of the rows at `own`, which may be none."""


class BatchLoader(StepLoader):
    """Micro-batches of windows of a token stream."""

    def __init__(self, rows: Rows, digest: str, seed: int, settings: LoaderSettings, bus: Bus | None = None) -> None:
        super().__init__(rows, digest, seed, settings, bus)
        self.rows = rows

    def _make(self, own: Tokens) -> Batch:
        read_tokens, read_targets = self.rows.batch(own)
        tokens, targets = torch.from_numpy(read_tokens), torch.from_numpy(read_targets)
        if self.settings.pin_memory:
            tokens, targets = tokens.pin_memory(), targets.pin_memory()
        return Batch(tokens, targets, self.rows.label_tokens(own), tuple(own.tolist()))


def open_loader(
    request: DataLoaderRequest, *, context: int, seed: int, bus: Bus | None = None, split: str = "train"
) -> DataLoaderResult:
    """The DataLoader component: open the shards at `dataset_path` and give the steps of their first epoch.

    The time per epoch is estimated from loading the first step. Raises DataError(DATASET_NOT_FOUND) when there
    are no shards there, else what `BatchLoader.load` raises.
    """
    shards = TokenShards(Path(request.dataset_path), split)
    settings = LoaderSettings(
        request.batch_size,
        shuffle=request.shuffle,
        workers=request.num_workers,
        prefetch_factor=request.prefetch_factor,
    )
    loader = BatchLoader(Rows(shards, context), shards.digest, seed, settings, bus)
    started = time.perf_counter()
    loader.load(0)
    seconds = (time.perf_counter() - started) * loader.steps_per_epoch
    return DataLoaderResult(
        batch_iterator=_epoch(loader),
        num_batches=loader.steps_per_epoch,
        estimated_time_per_epoch_seconds=seconds,
    )


def _epoch(loader: BatchLoader) -> Iterator[StepBatches]:
    with loader.stream(0, loader.steps_per_epoch) as steps:
        yield from steps


def corrupt_batch(step: int, error: LoquelaError) -> DataError:
    """CORRUPT_BATCH, keeping what was wrong and how to mend it."""
    return DataError(
        ErrorCode.CORRUPT_BATCH,
        f"the batch of step {step} is damaged: {error.message}",
        error.remedy,
        details={**error.details, "batch_id": step},
    )


def worker_crash(step: int, error: Exception) -> ResourceError:
    """WORKER_CRASH for a failure of the machine rather than of the data."""
    return ResourceError(
        ErrorCode.WORKER_CRASH,
        f"loading the batch of step {step} failed: {type(error).__name__}: {error}",
        "check that the shards can still be read; then resume the run",
        details={"batch_id": step},
    )
