"""From the logits of one position to one token, in NumPy: the same draw whatever computed the logits.

Shapes: V vocabulary, K candidates.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from loquela.core.errors import DataError, ErrorCode
from loquela.inference.runtimes.contract import Logits

# Most nuclei are smaller than this; a larger one is looked for among eight times as many.
FIRST_NUCLEUS = 64

Ids = NDArray[np.intp]


def seeded(seed: int) -> np.random.Generator:
    """The generator of one sequence: Philox, counter-based, the same numbers on every machine."""
    return np.random.Generator(np.random.Philox(seed))


def choose(
    logits: Logits, temperature: float, top_k: int | None, top_p: float | None, generator: np.random.Generator
) -> int:
    """Draw the next token id from `logits` [V].

    Temperature 0 takes the likeliest token (the first of equals) and draws nothing. Otherwise: divide by the
    temperature, keep the `top_k` likeliest, then the fewest of those whose mass reaches `top_p` (nucleus sampling,
    Holtzman et al. 2020), then draw once from `generator`. Of equals at a border, the smaller ids are kept.
    Raises DataError(INFERENCE_FAILED) when the largest logit is not a finite number.
    """
    best = likeliest(logits)
    if temperature == 0:
        return best
    # The largest becomes 0 before the division, so that a tiny temperature gives −∞ (weight 0) and never NaN.
    with np.errstate(over="ignore", under="ignore"):
        scaled = (logits - logits[best]) / max(temperature, float(np.finfo(np.float32).tiny))
        ids = None if top_k is None else largest(scaled, top_k)
        weights = np.exp(scaled if ids is None else scaled[ids])
    if top_p is not None:
        inside = _nucleus(weights, top_p)
        ids = inside if ids is None else ids[inside]
        weights = weights[inside]
    drawn = _draw(weights, generator)
    return drawn if ids is None else int(ids[drawn])


def likeliest(logits: Logits) -> int:
    """The id of the largest of `logits` [V]; DataError(INFERENCE_FAILED) when that is not a finite number."""
    index = int(logits.argmax())
    if not math.isfinite(logits[index]):
        raise unusable()
    return index


def largest(values: NDArray[np.float32], count: int) -> Ids:
    """Places [K] of the `count` largest of `values` [V], largest first, the first of equals first."""
    if count >= len(values):
        return np.argsort(-values, kind="stable")
    border = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > border)
    places = np.concatenate([above, np.flatnonzero(values == border)[: count - len(above)]])
    return places[np.argsort(-values[places], kind="stable")]


def unusable() -> DataError:
    """The error for logits that are NaN or infinite."""
    return DataError(
        ErrorCode.INFERENCE_FAILED,
        "the model gives logits that are not finite numbers",
        "its weights are damaged or training diverged: use an earlier checkpoint, or train again",
    )


def _nucleus(weights: NDArray[np.float32], top_p: float) -> Ids:
    """Places of the fewest `weights` that reach the share `top_p` of their sum, largest first."""
    wanted = top_p * float(weights.sum(dtype=np.float64))
    count = FIRST_NUCLEUS
    while True:
        places = largest(weights, count)
        reached = np.cumsum(weights[places], dtype=np.float64)
        if reached[-1] >= wanted or count >= len(weights):
            return places[: int(np.searchsorted(reached, wanted)) + 1]
        count *= 8


def _draw(weights: NDArray[np.float32], generator: np.random.Generator) -> int:
    """One place, drawn with probability proportional to `weights` [K], by inverting the cumulative sum."""
    cumulative = np.cumsum(weights, dtype=np.float64)
    place = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))
    # Rounding can put the point on the very end; the last token with any weight is the one meant.
    return place if place < len(cumulative) else int(np.searchsorted(cumulative, cumulative[-1]))
