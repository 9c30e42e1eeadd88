"""Which part of a row is asked and which is the answer that a model trained on it should give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loquela.artifacts.token_rows import TokenRow

# Rows that are learnt whole (but for the first token) have no question; their first tokens are given.
GIVEN_TOKENS = 8


@dataclass(frozen=True)
class Asked:
    """A prompt and the tokens that were learnt after it, the stop token among them where it was learnt."""

    example: str
    prompt: list[int]
    answer: list[int]


def asked_of(sequence: TokenRow) -> Asked | None:
    """The last answer and all that stands before it; None where there is nothing to ask or answer."""
    if sequence.answers and (answer := sequence.answers[0]) is not None:
        ids = sequence.ids.tolist()
        return Asked(sequence.examples[0], ids[: answer[0]], ids[slice(*answer)])
    places = np.flatnonzero(sequence.weights)
    if not len(places):
        return None
    breaks = np.flatnonzero(np.diff(places) > 1)
    start = int(places[breaks[-1] + 1]) if len(breaks) else int(places[0])
    end = int(places[-1]) + 1
    if start <= 1:
        start = min(GIVEN_TOKENS, end - 1)
    if start <= 0 or end <= start:
        return None
    ids = sequence.ids.tolist()
    return Asked(sequence.examples[0], ids[:start], ids[start:end])


def without_stop(ids: Sequence[int], stop_ids: frozenset[int]) -> list[int]:
    """The tokens before the first stop token."""
    kept: list[int] = []
    for token in ids:
        if token in stop_ids:
            break
        kept.append(token)
    return kept


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or list; a bare number or word is an answer that happens to parse."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
