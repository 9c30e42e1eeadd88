"""What a tokenizer does to text it has not seen: coverage, length, fidelity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from loquela.tokenizers.contract import LengthDistribution, TextStream, TokenizerHandle, TokenizerStats

DOCUMENTS_PER_BATCH = 256


@dataclass
class _Tally:
    documents: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0
    exact: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)

    def add(self, text: str, ids: list[int], decoded: str, unk_id: int) -> None:
        self.documents += 1
        self.bytes += len(text.encode("utf-8"))
        self.words += len(text.split())
        self.tokens += len(ids)
        self.unknown += ids.count(unk_id)
        self.exact += decoded == text
        self.characters.update(text)
        self.lengths[len(ids)] += 1


def measure(handle: TokenizerHandle, texts: TextStream) -> TokenizerStats:
    """Statistics of `handle` on the documents of `texts`, read once, in memory that does not grow with them."""
    tally = _Tally()
    for batch in _batches(texts()):
        for text, ids in zip(batch, handle.encode_batch(batch), strict=True):
            tally.add(text, ids, handle.decode(ids), handle.unk_id)
    characters = tally.characters.total()
    oov_rate = _ratio(tally.unknown, tally.tokens)
    return TokenizerStats(
        method=handle.method,
        vocab_size=handle.vocab_size,
        documents=tally.documents,
        characters=characters,
        bytes=tally.bytes,
        words=tally.words,
        token_count=tally.tokens,
        unknown_tokens=tally.unknown,
        oov_rate=oov_rate,
        coverage=None if oov_rate is None else 1.0 - oov_rate,
        char_coverage=_ratio(_covered(handle, tally.characters), characters),
        exact_round_trips=_ratio(tally.exact, tally.documents),
        characters_per_token=_ratio(characters, tally.tokens),
        bytes_per_token=_ratio(tally.bytes, tally.tokens),
        tokens_per_word=_ratio(tally.tokens, tally.words),
        lengths=_distribution(tally.lengths),
    )


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(texts, DOCUMENTS_PER_BATCH)):
        yield batch


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _covered(handle: TokenizerHandle, characters: Counter[str]) -> int:
    """How many of the counted characters encode alone without the unknown token."""
    alphabet = sorted(characters)
    encoded = handle.encode_batch(alphabet)
    return sum(
        characters[character] for character, ids in zip(alphabet, encoded, strict=True) if handle.unk_id not in ids
    )


def _distribution(lengths: Counter[int]) -> LengthDistribution | None:
    if not lengths:
        return None
    ordered = sorted(lengths.items())
    documents = lengths.total()

    def percentile(share: float) -> int:
        # nearest rank: the smallest length that at least this share of the documents does not exceed
        seen = 0
        for length, count in ordered:
            seen += count
            if seen >= share * documents:
                return length
        return ordered[-1][0]

    return LengthDistribution(
        minimum=ordered[0][0],
        p50=percentile(0.50),
        p90=percentile(0.90),
        p95=percentile(0.95),
        p99=percentile(0.99),
        maximum=ordered[-1][0],
        mean=sum(length * count for length, count in ordered) / documents,
    )
