"""How often each piece of text occurs, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from itertools import groupby

MOST_DISTINCT = 2_000_000
"""Distinct pieces kept while counting, about 300 MB; a corpus has to be several hundred MB to reach it."""

CHUNK = re.compile(r"\s{0,64}\S{1,256}|\s{1,64}")
"""White space and the word that follows it: no subword learnt here reaches from a word into the next space.

The limits keep a line of base64 from becoming one enormous word.
"""


def chunks(texts: Iterable[str]) -> Iterator[str]:
    """The texts cut into CHUNKs; joined they are the texts again."""
    for text in texts:
        yield from CHUNK.findall(text)


def count(pieces: Iterable[str], most_distinct: int = MOST_DISTINCT) -> tuple[Counter[str], int]:
    """Occurrences of each piece, and the count at or below which pieces were dropped to stay in memory (0: none).

    When more than `most_distinct` are known, the rarest go (a bounded form of lossy counting, Manku & Motwani
    2002): what is dropped had occurred no more than that often since it was last dropped.
    """
    counts: Counter[str] = Counter()
    dropped = 0
    for piece in pieces:
        counts[piece] += 1
        while len(counts) > most_distinct:
            dropped += 1
            counts = Counter({known: times for known, times in counts.items() if times > dropped})
    return counts, dropped


def within(counts: Counter[str], alphabet: set[str]) -> Counter[str]:
    """The same counts, each piece cut at the characters that are not in `alphabet`, which are left out."""
    kept: Counter[str] = Counter()
    for piece, times in counts.items():
        for part in [piece] if alphabet.issuperset(piece) else _parts(piece, alphabet):
            kept[part] += times
    return kept


def _parts(piece: str, alphabet: Container[str]) -> Iterator[str]:
    for known, run in groupby(piece, key=alphabet.__contains__):
        if known:
            yield "".join(run)
