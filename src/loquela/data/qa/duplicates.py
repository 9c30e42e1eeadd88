"""Questions that ask for the same, in whatever chunk or document they were asked.

Equal but for case, accents and punctuation; else similar by character 5-grams (MinHash in bands, then their Jaccard
similarity itself). Two questions that differ in a number or a name are never the same, however similar they look.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from loquela.core.text.facts import name_key, names, numbers
from loquela.core.text.words import Words
from loquela.data.corpus.near_duplicates import PERMUTATIONS, signature
from loquela.data.shingles import Hashes, jaccard, mixed, ngram_hashes

GRAM_CHARACTERS = 5
LEAST_SIMILARITY = 0.7
# Two questions as similar as that share one of 28 bands of 4 rows with probability 0.9995: 1 - (1 - 0.7^4)^28.
ROWS = 4
BANDS = PERMUTATIONS // ROWS

Facts = tuple[frozenset[str], frozenset[str]]


class Questions:
    """The questions kept so far; each new one is compared with them."""

    def __init__(self) -> None:
        self._exact: set[str] = set()
        self._buckets: dict[tuple[int, bytes], list[int]] = {}
        self._grams: list[Hashes] = []
        self._facts: list[Facts] = []

    def duplicate_reason(self, question: str, language: str | None) -> str | None:
        """Why `question` is not new; a new one is remembered and gives None."""
        folded = fold(question)
        if folded in self._exact:
            return "question was asked before"
        grams = _grams(folded)
        facts = _facts(question, language)
        keys = _band_keys(grams)
        for number in sorted({number for key in keys for number in self._buckets.get(key, ())}):
            if self._facts[number] == facts and jaccard(grams, self._grams[number]) >= LEAST_SIMILARITY:
                return "question is nearly one asked before"
        self._exact.add(folded)
        for key in keys:
            self._buckets.setdefault(key, []).append(len(self._grams))
        self._grams.append(grams)
        self._facts.append(facts)
        return None


def fold(question: str) -> str:
    """`question` as words only, in lower case, without accents."""
    plain = unicodedata.normalize("NFD", " ".join(Words(question).lower_words))
    return "".join(character for character in plain if unicodedata.category(character) != "Mn")


def _grams(folded: str) -> Hashes:
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    return np.unique(ngram_hashes(mixed(codes), GRAM_CHARACTERS))


def _band_keys(grams: Hashes) -> list[tuple[int, bytes]]:
    rows = signature(grams)
    return [(band, rows[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]


def _facts(question: str, language: str | None) -> Facts:
    return numbers(question).readings, frozenset(name_key(name) for name in names(question, language))
