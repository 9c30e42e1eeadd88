"""Loss, perplexity, bits per byte, accuracy and F1 of a model on a split of token shards.

The stream is cut into fixed windows as in training: window i reads the tokens [i·T, i·T + T] and predicts all but
its first, so every token of the stream except the very first is a target exactly once, whatever the batch.

Shapes: B windows at once, T context, N = B·T, D width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from loquela.artifacts.shards import TokenShards
from loquela.core.errors import DataError, ErrorCode, ProofError
from loquela.evaluation.contracts import LossReport
from loquela.models.contract import LanguageModel
from loquela.models.head_loss import chunk_rows, token_losses
from loquela.models.kernels import matmul_transposed

Between = Callable[[], None]
IGNORED = -100
TOKENS_AT_ONCE = 4096
LARGEST_LOSS = 700.0  # e^709 is the largest power of e that a float holds


@dataclass
class ClassCounts:
    """Per token id [V]: how often it was right, how often it was the prediction, how often it was the target."""

    right: Tensor
    predicted: Tensor
    targets: Tensor

    @classmethod
    def zeros(cls, vocab_size: int) -> ClassCounts:
        """Nothing counted yet."""
        return cls(*(torch.zeros(vocab_size, dtype=torch.int64) for _ in range(3)))

    def add(self, predictions: Tensor, targets: Tensor) -> None:
        """Count int64 `predictions` [N] against `targets` [N]."""
        size = len(self.targets)
        self.right += torch.bincount(targets[predictions == targets], minlength=size)
        self.predicted += torch.bincount(predictions, minlength=size)
        self.targets += torch.bincount(targets, minlength=size)

    @property
    def accuracy(self) -> float:
        """Share of targets that were the likeliest token."""
        return float(self.right.sum()) / float(self.targets.sum())

    @property
    def macro_f1(self) -> float:
        """Mean of the F1 = 2·right / (predicted + targets) of every token id that occurs as a target.

        A frequent token weighs no more than a rare one, which accuracy lets vanish.
        """
        occurs = self.targets > 0
        f1 = 2 * self.right[occurs].double() / (self.predicted[occurs] + self.targets[occurs]).double()
        return float(f1.mean())


@torch.inference_mode()
def measure(
    model: LanguageModel, shards: TokenShards, *, classes: bool = True, between: Between = lambda: None
) -> LossReport:
    """Measure `model` (put it into evaluation mode first) on all of `shards`; `classes` adds accuracy and F1.

    `between` is called after every block of windows; what it raises ends the measurement.

    Raises DataError(EVALUATION_FAILED) when there is nothing to predict or an id is outside the model's
    vocabulary, ProofError(METRIC_COMPUTATION_ERROR) when the loss or its perplexity is not a finite number.
    """
    if shards.tokens_total < 2 or shards.bytes_total == 0:
        raise DataError(
            ErrorCode.EVALUATION_FAILED,
            f"the {shards.split} split has {shards.tokens_total} tokens; evaluation needs at least two",
            "give more text in data.sources, or a larger data.validation_fraction",
        )
    if shards.vocab_size > model.config.vocab_size:
        raise DataError(
            ErrorCode.EVALUATION_FAILED,
            f"the shards have a vocabulary of {shards.vocab_size} tokens, the model of {model.config.vocab_size}",
            "evaluate on shards made with the model's own tokenizer",
        )
    total, count = 0.0, 0
    counts = ClassCounts.zeros(model.config.vocab_size) if classes else None
    device = model.head_weight.device
    for tokens, targets in windows(shards, model.config.max_sequence_length):
        hidden = model.hidden(tokens.to(device)).flatten(0, 1)
        valid = targets.flatten() != IGNORED
        wanted = targets.flatten()[valid]
        states = hidden[valid.to(device)]
        total += float(token_losses(states, model.head_weight, wanted.to(device)).cpu().double().sum())
        count += len(wanted)
        if counts is not None:
            counts.add(_likeliest(states, model.head_weight), wanted)
        between()
    return _report(shards, total, count, counts)


def windows(shards: TokenShards, context: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(tokens [B, T], targets [B, T]), int64; the last window is padded, its targets there are IGNORED."""
    rows = max(1, TOKENS_AT_ONCE // context)
    targets_total = shards.tokens_total - 1
    for start in range(0, targets_total, rows * context):
        stop = min(start + rows * context, targets_total)
        stream = shards.read(start, stop + 1)
        padding = -(stop - start) % context
        tokens = np.pad(stream[:-1], (0, padding), constant_values=shards.eos_id)
        targets = np.pad(stream[1:], (0, padding), constant_values=IGNORED)
        yield torch.from_numpy(tokens.reshape(-1, context)), torch.from_numpy(targets.reshape(-1, context))


def _likeliest(states: Tensor, head_weight: Tensor) -> Tensor:
    """The most probable token after each of `states` [N, D], as [N] on the CPU; logits exist in chunks only."""
    step = chunk_rows(states.shape[0], head_weight.shape[0], states.device.type)
    parts = [
        matmul_transposed(states[start : start + step], head_weight).argmax(dim=-1)
        for start in range(0, states.shape[0], step)
    ]
    return torch.cat(parts).cpu()


def _report(shards: TokenShards, total: float, count: int, counts: ClassCounts | None) -> LossReport:
    if not math.isfinite(total):
        raise ProofError(
            ErrorCode.METRIC_COMPUTATION_ERROR,
            f"the loss on the {shards.split} split is {total}: the model gives values that are not finite",
            "its weights are damaged or training diverged: evaluate an earlier checkpoint, or train again",
        )
    loss = total / count
    if loss > LARGEST_LOSS:
        raise ProofError(
            ErrorCode.METRIC_COMPUTATION_ERROR,
            f"the loss on the {shards.split} split is {loss:.1f}: its perplexity is too large for a number",
            "training diverged: evaluate an earlier checkpoint, or train again with a lower learning rate",
        )
    return LossReport(
        split=shards.split,
        target_tokens=count,
        text_bytes=shards.bytes_total,
        loss=loss,
        perplexity=math.exp(loss),
        bits_per_byte=total / (shards.bytes_total * math.log(2)),
        accuracy=counts.accuracy if counts is not None else None,
        f1_score=counts.macro_f1 if counts is not None else None,
    )
