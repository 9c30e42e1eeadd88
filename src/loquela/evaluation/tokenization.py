"""How the tokenizer cuts a split: tokens per character and word, lengths of documents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loquela.artifacts.shards import TokenShards
from loquela.evaluation.contracts import LengthSpread, TokenizationReport
from loquela.tokenizers.contract import TokenizerHandle

TOKENS_AT_ONCE = 1 << 20


def tokenization_report(shards: TokenShards, tokenizer: TokenizerHandle, context: int) -> TokenizationReport:
    """Count `shards`; memory stays that of the longest document."""
    lengths, characters, words = [], 0, 0
    for document in documents_of(shards):
        text = tokenizer.decode(document.tolist())
        lengths.append(len(document))
        characters += len(text)
        words += len(text.split())
    counts = np.array(lengths or [0], dtype=np.int64)
    tokens = int(counts.sum())
    return TokenizationReport(
        documents=len(lengths),
        tokens=tokens,
        characters=characters,
        words=words,
        tokens_per_character=tokens / max(characters, 1),
        tokens_per_word=tokens / max(words, 1),
        lengths=LengthSpread(
            minimum=int(counts.min()),
            p50=float(np.percentile(counts, 50)),
            p95=float(np.percentile(counts, 95)),
            maximum=int(counts.max()),
            mean=float(counts.mean()),
            share_longer_than_context=float((counts > context).mean()),
        ),
    )


def documents_of(shards: TokenShards) -> Iterator[NDArray[np.int64]]:
    """The tokens of every document, without the end-of-document token that follows each."""
    rest = np.empty(0, dtype=np.int64)
    for start in range(0, shards.tokens_total, TOKENS_AT_ONCE):
        block = np.concatenate([rest, shards.read(start, min(start + TOKENS_AT_ONCE, shards.tokens_total))])
        begin = 0
        for end in np.flatnonzero(block == shards.eos_id).tolist():
            yield block[begin:end]
            begin = end + 1
        rest = block[begin:]
    if len(rest):
        yield rest
