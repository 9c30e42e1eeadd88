"""How surprised a model is by a text.

Shapes: T tokens of a window, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loquela.core.errors import DataError, ErrorCode
from loquela.inference.contracts import CharacterSurprisal, TokenChoice
from loquela.inference.runtimes.contract import Logits, Runtime
from loquela.inference.sampling import largest, unusable
from loquela.inference.text_stream import Detokenizer
from loquela.tokenizers.contract import TokenizerHandle

ROWS_AT_ONCE = 128
# Half a gigabyte of float32: what one window's logits may take, however long the context is.
LOGITS_AT_ONCE = 2**27


@dataclass
class Scored:
    """Per token of the text: −ln p in nats, and the likeliest tokens in its place."""

    surprisal: list[float]
    topk: list[list[TokenChoice]] | None

    @property
    def loss(self) -> float:
        """Mean surprisal, nats."""
        return math.fsum(self.surprisal) / len(self.surprisal)

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where it exceeds a float."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf


def score_tokens(
    runtime: Runtime, tokenizer: TokenizerHandle, sequence: list[int], top_k: int | None, window: int
) -> Scored:
    """Score all of `sequence` but its first token, each predicted from the tokens before, exactly once.

    A text longer than `window` tokens is read in windows that move by half a window, so that every token but those
    of the first window is predicted from at least half a window of context.
    """
    surprisal: list[float] = []
    topk: list[list[TokenChoice]] = []
    for start, first, stop in scoring_windows(len(sequence) - 1, window):
        logits = runtime.logits(sequence[start:stop])[first - start :]
        for row in range(0, len(logits), ROWS_AT_ONCE):
            log_probabilities = _log_probabilities(logits[row : row + ROWS_AT_ONCE])
            targets = sequence[first + row + 1 : first + row + 1 + len(log_probabilities)]
            surprisal += (-log_probabilities[np.arange(len(targets)), targets]).tolist()
            if top_k is not None:
                topk += _likeliest(log_probabilities[:, : tokenizer.vocab_size], top_k, tokenizer)
    return Scored(surprisal, topk if top_k is not None else None)


def longest_window(runtime: Runtime, trained: int) -> int:
    """Tokens to score at once: the window that the network was trained on, as far as its logits fit into memory."""
    return max(1, min(trained, runtime.context, LOGITS_AT_ONCE // runtime.vocab_size))


def start_token(tokenizer: TokenizerHandle) -> int:
    """The token that stands before a document; DataError(INFERENCE_FAILED) when the tokenizer has none."""
    for token in (tokenizer.eos_id, tokenizer.bos_id):
        if token >= 0:
            return token
    raise DataError(
        ErrorCode.INFERENCE_FAILED,
        "there is nothing to start from: the tokenizer has no end-of-text and no beginning-of-text token",
        "give a prompt, or use a tokenizer that has one of the two",
    )


def scoring_windows(count: int, window: int) -> Iterator[tuple[int, int, int]]:
    """Cut `count` predictions into (start, first, stop): read inputs [start, stop), score from `first` on."""
    first = 0
    while first < count:
        start = max(0, first - window // 2) if first else 0
        stop = min(start + window, count)
        yield start, first, stop
        first = stop


def character_surprisals(
    tokenizer: TokenizerHandle, ids: list[int], surprisal: list[float]
) -> list[CharacterSurprisal]:
    """Spread the surprisal of tokens over the characters they add; the total stays the same."""
    detokenizer = Detokenizer(tokenizer)
    spread: list[CharacterSurprisal] = []
    waiting = 0.0
    for token, nats in zip(ids, surprisal, strict=True):
        waiting += nats
        text = detokenizer.add(token)
        if text:
            spread += [CharacterSurprisal(character=character, surprisal=waiting / len(text)) for character in text]
            waiting = 0.0
    text = detokenizer.finish()
    spread += [CharacterSurprisal(character=character, surprisal=waiting / len(text)) for character in text]
    if not text and spread:
        spread[-1].surprisal += waiting
    return spread


def _log_probabilities(logits: Logits) -> NDArray[np.float32]:
    """ln p [T, V]; DataError(INFERENCE_FAILED) when they are not numbers."""
    best = logits.max(axis=1, keepdims=True)
    if not np.isfinite(best).all():
        raise unusable()
    shifted = logits - best
    mass = np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float64)
    log_probabilities: NDArray[np.float32] = shifted - np.log(mass).astype(np.float32)
    return log_probabilities


def _likeliest(
    log_probabilities: NDArray[np.float32], top_k: int, tokenizer: TokenizerHandle
) -> list[list[TokenChoice]]:
    """The `top_k` likeliest tokens of every row of `log_probabilities` [T, V], likeliest first."""
    return [
        [
            TokenChoice(id=token, token=tokenizer.token_text(token), log_probability=float(row[token]))
            for token in largest(row, top_k).tolist()
        ]
        for row in log_probabilities
    ]
