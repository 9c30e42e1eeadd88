"""What the held-out documents still share with the training documents, after the split: measured, not assumed."""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loquela.core.atomic import write_error
from loquela.core.model import BoundaryModel
from loquela.data.shingles import Hashes, ngram_hashes, word_hashes

NGRAM_WORDS = 13
# Numbers of held-out n-grams that are kept at once; with more, every second, fourth, … of all n-grams is looked at.
MOST_NGRAMS = 1_000_000
WORD_BYTES = 5
# A first look at the top bits of an n-gram tells most that are not held out: 4 MB, whatever the corpus.
HINT_BITS = 22
BLOCK_NGRAMS = 1 << 16


class Leakage(BoundaryModel):
    """Held-out documents whose word 13-grams stand in training documents too, and those from the same source text.

    `share_looked_at` is the part of all n-grams that was compared: 1 is every one. A document's containment is the
    share of its n-grams that occur anywhere in the training documents.
    """

    ngram: int = NGRAM_WORDS
    share_looked_at: float = 1.0
    documents: int = 0
    sharing_any: int = 0
    sharing_half: int = 0
    mean_containment: float = 0.0
    same_source: int = 0


class LeakageMeter:
    """First every held-out document is taken in, then every training document; then the result is there."""

    def __init__(self, held_out_bytes: int, directory: Path | None = None) -> None:
        """`held_out_bytes` is the size of all held-out documents together; `directory` is where their n-grams wait.

        Without it, that is where the system keeps temporary files. ResourceError when it cannot be written to.
        """
        expected = held_out_bytes // WORD_BYTES
        self._shift = max(0, (expected // MOST_NGRAMS).bit_length())
        self._directory = directory or Path(tempfile.gettempdir())
        try:
            self._kept = tempfile.TemporaryFile(dir=self._directory)
        except OSError as error:
            raise write_error(error, self._directory) from error
        # N-grams of each held-out document.
        self._counts = array("Q")
        self._table: Hashes | None = None
        self._seen: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._hint: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def hold_out(self, text: str) -> None:
        """Take in a held-out document; ResourceError (DISK_FULL, …) when there is no room for its n-grams."""
        found = np.unique(self._sampled(text))
        try:
            self._kept.write(found.tobytes())
        except OSError as error:
            raise write_error(error, self._directory) from error
        self._counts.append(len(found))

    def learn(self, text: str) -> None:
        """Take in a training document."""
        table = self._held_out()
        found = self._sampled(text)
        found = found[self._hint[found >> np.uint64(64 - HINT_BITS)]]
        if len(found):
            places = np.minimum(np.searchsorted(table, found), len(table) - 1)
            self._seen[places[table[places] == found]] = True

    def _held_out(self) -> Hashes:
        """All held-out n-grams, sorted, each once."""
        if self._table is None:
            self._rewind()
            self._table = _distinct(self._next(sum(self._counts)))
            self._rewind()
            self._seen = np.zeros(len(self._table), dtype=np.bool_)
            self._hint = np.zeros(1 << HINT_BITS, dtype=np.bool_)
            self._hint[self._table >> np.uint64(64 - HINT_BITS)] = True
        return self._table

    def _rewind(self) -> None:
        try:
            self._kept.seek(0)  # writes what is still in the buffer
        except OSError as error:
            raise write_error(error, self._directory) from error

    def _next(self, count: int) -> Hashes:
        """The next `count` n-grams of those kept."""
        found = np.empty(count, dtype=np.uint64)
        self._kept.readinto(found.data)
        return found

    def result(self, same_source: int) -> Leakage:
        """What was found; `same_source` held-out documents come from a text that is learnt from, too."""
        table = self._held_out()
        sharing_any = sharing_half = 0
        total = 0.0
        for count in self._counts:
            seen = self._seen[np.searchsorted(table, self._next(count))]
            share = float(seen.mean()) if count else 0.0
            sharing_any += share > 0
            sharing_half += share >= 0.5
            total += share
        return Leakage(
            share_looked_at=0.5**self._shift,
            documents=len(self._counts),
            sharing_any=sharing_any,
            sharing_half=sharing_half,
            mean_containment=round(total / len(self._counts), 6) if self._counts else 0.0,
            same_source=same_source,
        )

    def _sampled(self, text: str) -> Hashes:
        """The n-grams of `text`, or those whose lowest bits are 0 where not all are looked at."""
        found = ngram_hashes(word_hashes(text).values, NGRAM_WORDS)
        return found[found & np.uint64((1 << self._shift) - 1) == 0] if self._shift else found


def _distinct(values: Hashes) -> Hashes:
    """`values` sorted, each once; their array is used for it."""
    values.sort()
    new = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    kept = 0
    for start in range(0, len(values), BLOCK_NGRAMS):
        chosen = values[start : start + BLOCK_NGRAMS][new[start : start + BLOCK_NGRAMS]]
        values[kept : kept + len(chosen)] = chosen
        kept += len(chosen)
    return values[:kept]
