"""What every contender shares: the same tokens, the same clock, the same report. One contender, one process."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from shapes import SHAPES, Shape


def chosen_shape() -> Shape:
    """The shape named on the command line."""
    return SHAPES[sys.argv[1]]


def batches(shape: Shape) -> list[tuple[Tensor, Tensor]]:
    """Inputs and targets [B, T] of four steps: random, the same for every contender."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, shape.vocab_size, (4, shape.batch_size, shape.context + 1), generator=generator)
    return [(block[:, :-1].contiguous(), block[:, 1:].contiguous()) for block in rows]


def measure(shape: Shape, step: Callable[[Tensor, Tensor], float]) -> None:
    """Run warm-up and measured steps and report; `step` does one optimizer step and returns the loss."""
    data = batches(shape)
    losses = []
    seconds = []
    for number in range(shape.warmup_steps + shape.measured_steps):
        began = time.perf_counter()
        losses.append(step(*data[number % len(data)]))
        seconds.append(time.perf_counter() - began)
    report(shape, seconds[shape.warmup_steps :], losses)


def report(shape: Shape, step_seconds: list[float], losses: list[float]) -> None:
    """One JSON object on standard output; speed from the total time of the measured steps."""
    print(
        json.dumps(
            {
                "tokens_per_second": shape.step_tokens * len(step_seconds) / sum(step_seconds),
                "median_step_ms": 1000 * statistics.median(step_seconds),
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "threads": torch.get_num_threads(),
            }
        )
    )
