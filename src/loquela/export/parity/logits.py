"""Two models on the same tokens. Shapes: T tokens of a window, V vocabulary."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from loquela.core.errors import ErrorCode, ProofError
from loquela.export.contracts import Continuation, LogitParity
from loquela.export.parity.held_out import HeldOut
from loquela.inference.runtimes.contract import Logits, Runtime

ROWS_AT_ONCE = 64


def compare(reference: Runtime, exported: Runtime, held_out: HeldOut, vocab_size: int) -> LogitParity:
    """Both models on every window; rows of padding beyond `vocab_size` do not count.

    Raises ProofError(EXPORT_FAILED) when a logit is not a finite number, DataError as the runtimes.
    """
    largest = 0.0
    divergences: list[float] = []
    losses: list[float] = []
    reference_losses: list[float] = []
    same = 0
    for window in held_out.windows:
        theirs = _finite(reference.logits(window)[:, :vocab_size], "the model")
        ours = _finite(exported.logits(window)[:, :vocab_size], "the export")
        largest = max(largest, float(np.abs(theirs - ours).max()))
        same += int((theirs.argmax(axis=-1) == ours.argmax(axis=-1)).sum())
        for start in range(0, len(window), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            wanted, found = _log_softmax(theirs[rows]), _log_softmax(ours[rows])
            divergences += (np.exp(wanted) * (wanted - found)).sum(axis=-1).tolist()
            targets = np.array(window[start + 1 : start + 1 + ROWS_AT_ONCE], dtype=np.int64)
            places = np.arange(len(targets))
            reference_losses += (-wanted[places, targets]).tolist()
            losses += (-found[places, targets]).tolist()
    tokens = len(divergences)
    reference_loss, loss = _mean(reference_losses), _mean(losses)
    per_byte = 1 / (math.log(2) * held_out.bytes_per_token)
    return LogitParity(
        text=held_out.text,
        tokens=tokens,
        max_logit_difference=largest,
        # A divergence is never negative; its sum in floating point may be, by a rounding.
        mean_kl=max(_mean(divergences), 0.0),
        max_kl=max(0.0, *divergences),
        top1_agreement=same / tokens,
        reference_loss=reference_loss,
        loss=loss,
        reference_bits_per_byte=reference_loss * per_byte,
        bits_per_byte=loss * per_byte,
    )


def mean_loss(runtime: Runtime, held_out: HeldOut, vocab_size: int) -> float:
    """Nats per token of one model."""
    losses: list[float] = []
    for window in held_out.windows:
        found = _log_softmax(_finite(runtime.logits(window)[:-1, :vocab_size], "the model"))
        losses += (-found[np.arange(len(window) - 1), np.array(window[1:])]).tolist()
    return _mean(losses)


def continue_greedily(runtime: Runtime, prompt: list[int], tokens: int, vocab_size: int) -> list[int]:
    """The likeliest token, `tokens` times or until the window is full."""
    room = min(tokens, runtime.context - len(prompt))
    written: list[int] = []
    logits = runtime.start(prompt)
    for count in range(room):
        written.append(int(logits[:vocab_size].argmax()))
        if count + 1 < room:
            logits = runtime.step(written[-1])
    return written


def continuations(
    reference: Runtime, exported: Runtime, held_out: HeldOut, tokens: int, vocab_size: int
) -> list[Continuation]:
    """What both write after the prompts of `held_out`."""
    found = []
    for prompt in held_out.prompts:
        wanted = continue_greedily(reference, prompt, tokens, vocab_size)
        written = continue_greedily(exported, prompt, tokens, vocab_size)
        same = next((i for i, pair in enumerate(zip(wanted, written, strict=True)) if pair[0] != pair[1]), len(wanted))
        found.append(Continuation(prompt_ids=prompt, reference_ids=wanted, exported_ids=written, same=same))
    return found


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    """ln p [T, V] in float64, so that small divergences are not lost in rounding."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def _finite(logits: Logits, whose: str) -> Logits:
    if not np.isfinite(logits).all():
        raise ProofError(
            ErrorCode.EXPORT_FAILED,
            f"{whose} gives logits that are not finite numbers on held-out text",
            "look at the weights with `loquela verify`; a quantised export may need another format or no quantisation",
        )
    return logits


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
