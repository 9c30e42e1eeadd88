"""How likely is a text to go on in a given way? Nats of the continuation's tokens, each text alone.

Shapes: B texts, T tokens of the longest, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from loquela.models.pretrained.causal import CausalModel

Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Continuation:
    """`ids` of the whole text; those from `start` on are the continuation. Both parts have at least one."""

    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Likelihood:
    """Nats of the continuation, its tokens, and whether each was the likeliest."""

    nats: float
    tokens: int
    is_greedy: bool


def continuation(encode: Encode, before: str, after: str, *, begin_id: int, context: int) -> Continuation:
    """`before` and `after` as one text, cut where its tokens stop being those of `before` alone.

    An empty `before` is the token `begin_id`; the beginning goes where more than `context` tokens lead to the last.
    """
    if not before:
        ids = [begin_id, *encode(after)]
        start = 1
    else:
        head, ids = encode(before), encode(before + after)
        start = next((place for place, (a, b) in enumerate(zip(head, ids, strict=False)) if a != b), len(head))
        if start == 0:
            ids, start = [begin_id, *ids], 1
    cut = max(0, len(ids) - context - 1)
    return Continuation(tuple(ids[cut:]), max(1, start - cut))


@torch.no_grad()
def likelihoods(
    model: CausalModel, texts: Sequence[Continuation], *, batch_size: int, pad_id: int, between: Callable[[], None]
) -> list[Likelihood]:
    """One for each of `texts`, in their order; `between` is called after every batch, and may end it."""
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place].ids))
    found: dict[int, Likelihood] = {}
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        found.update(zip(places, _batch(model, [texts[place] for place in places], pad_id), strict=True))
        between()
    return [found[place] for place in range(len(texts))]


def _batch(model: CausalModel, texts: Sequence[Continuation], pad_id: int) -> list[Likelihood]:
    # Nothing is asked of the last token: it would only take room in the context.
    longest = max(len(text.ids) for text in texts) - 1
    shown = [text.ids[:-1] for text in texts]
    ids = torch.tensor([[*seen, *[pad_id] * (longest - len(seen))] for seen in shown])
    mask = torch.tensor([[1] * len(seen) + [0] * (longest - len(seen)) for seen in shown])
    first = min(text.start for text in texts) - 1
    keep = torch.arange(first, longest, device=model.device)
    logits = model.logits(ids.to(model.device), attention_mask=mask.to(model.device), keep=keep)
    results = []
    for scores, text in zip(logits, texts, strict=True):
        chosen = scores[text.start - 1 - first : len(text.ids) - 1 - first].float().log_softmax(dim=-1).cpu()
        targets = torch.tensor(text.ids[text.start :])
        nats = -float(chosen.gather(1, targets[:, None]).double().sum())
        results.append(Likelihood(nats, len(targets), bool((chosen.argmax(dim=-1) == targets).all())))
    return results
