"""Which of the real rows a proof looks at: short ones, which are cheap, and ones that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np

from loquela.artifacts.token_rows import TokenRow


def learnt(row: TokenRow) -> int:
    """Tokens of a row whose loss counts."""
    return int(np.count_nonzero(row.weights))


def sequences_of(row: TokenRow) -> list[TokenRow]:
    """The sequences that a row holds, each as a row of its own."""
    bounds = [0, *accumulate(row.lengths)]
    answers = row.answers or (None,) * len(row.lengths)
    return [
        TokenRow((example,), row.ids[start:end], row.weights[start:end], (end - start,), (answer,))
        for example, answer, (start, end) in zip(row.examples, answers, pairwise(bounds), strict=True)
    ]


def shortest_sequences(rows: Sequence[TokenRow], count: int) -> list[TokenRow]:
    """The `count` shortest sequences with something to learn, no two with the same tokens."""
    found: dict[bytes, TokenRow] = {}
    for row in rows:
        for sequence in sequences_of(row):
            if learnt(sequence):
                found.setdefault(sequence.ids.tobytes(), sequence)
    return sorted(found.values(), key=lambda row: len(row.ids))[:count]


def unequal_rows(rows: Sequence[TokenRow], count: int) -> list[TokenRow]:
    """`count` rows (fewer where there are fewer), from the fewest to the most learnt tokens of the shorter half.

    Where all learn equally many, the first learns only a part of them: rows that are alike cannot tell a mean over
    rows from a mean over tokens.
    """
    able = sorted((row for row in rows if learnt(row)), key=lambda row: len(row.ids))
    shorter = sorted(able[: max(count, len(able) // 2)], key=learnt)
    places = sorted({round(index) for index in np.linspace(0, len(shorter) - 1, min(count, len(shorter)))})
    chosen = [shorter[place] for place in places]
    if len(chosen) > 1 and learnt(chosen[0]) == learnt(chosen[-1]) > 1:
        chosen[0] = _learning_less(chosen[0])
    return chosen


def longest_rows(rows: Sequence[TokenRow], count: int) -> list[TokenRow]:
    """The `count` rows with the most tokens."""
    return sorted(rows, key=lambda row: len(row.ids), reverse=True)[:count]


def _learning_less(row: TokenRow) -> TokenRow:
    """The row with the loss of half of its learnt tokens left out."""
    weights = row.weights.copy()
    places = np.flatnonzero(weights)
    weights[places[: len(places) // 2]] = 0
    return replace(row, weights=weights)
