"""From the logits of one position to one token.

Shapes: V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from loquela.core.errors import DataError, ErrorCode


def choose(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator
) -> int:
    """Draw the next token id from `logits` [V].

    Temperature 0 takes the likeliest token (the first of equals) and draws nothing. Otherwise: divide by the
    temperature, keep the `top_k` likeliest, then the fewest of those whose mass reaches `top_p` (nucleus sampling,
    Holtzman et al. 2020), then draw once from `generator` (a CPU generator, so that every device draws alike).
    Raises DataError(INFERENCE_FAILED) when the largest logit is not a finite number.
    """
    if temperature == 0:
        return likeliest(logits)
    scaled = logits.to("cpu", torch.float32)
    best = likeliest(scaled)
    # The largest becomes 0 before the division, so that a tiny temperature cannot overflow.
    scaled = (scaled - scaled[best]) / temperature
    if top_k is None and top_p is None:
        return _draw(torch.softmax(scaled, dim=-1), generator)
    values, ids = torch.sort(scaled, descending=True, stable=True)
    if top_k is not None:
        values, ids = values[:top_k], ids[:top_k]
    probabilities = torch.softmax(values, dim=-1)
    if top_p is not None:
        mass_before = torch.cumsum(probabilities, dim=-1) - probabilities
        probabilities = torch.where(mass_before < top_p, probabilities, 0.0)
    return int(ids[_draw(probabilities, generator)])


def likeliest(logits: Tensor) -> int:
    """The id of the largest of `logits` [V]; DataError(INFERENCE_FAILED) when that is not a finite number."""
    index = int(logits.argmax())
    if not math.isfinite(logits[index].item()):
        raise unusable()
    return index


def unusable() -> DataError:
    """The error for logits that are NaN or infinite."""
    return DataError(
        ErrorCode.INFERENCE_FAILED,
        "the model gives logits that are not finite numbers",
        "its weights are damaged or training diverged: use an earlier checkpoint, or train again",
    )


def _draw(weights: Tensor, generator: torch.Generator) -> int:
    """One index, drawn with probability proportional to `weights` [V], by inverting the cumulative sum."""
    cumulative = torch.cumsum(weights, dim=-1, dtype=torch.float64)
    point = torch.rand(1, generator=generator, dtype=torch.float64) * cumulative[-1]
    index = int(torch.searchsorted(cumulative, point, right=True))
    # Rounding can put the point on the very end; the last token with any weight is the one meant.
    return min(index, int(torch.count_nonzero(cumulative < cumulative[-1])))
