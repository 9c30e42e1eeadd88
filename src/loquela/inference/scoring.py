"""How surprised a model is by a text.

Shapes: T tokens of a window, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from loquela.core.errors import DataError, ErrorCode
from loquela.inference.contracts import CharacterSurprisal, TokenChoice
from loquela.inference.sampling import unusable
from loquela.inference.text_stream import Detokenizer
from loquela.models.contract import LanguageModel
from loquela.tokenizers.contract import TokenizerHandle

ROWS_AT_ONCE = 128


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


@torch.inference_mode()
def score_tokens(model: LanguageModel, tokenizer: TokenizerHandle, ids: list[int], top_k: int | None) -> Scored:
    """Score `ids`, predicted from the end-of-document token and the tokens before, each exactly once.

    A text longer than the context window is read in windows that move by half a window, so that every token but
    those of the first window is predicted from at least half a window of context.
    """
    sequence = [start_token(tokenizer), *ids]
    device = model.head_weight.device
    surprisal: list[float] = []
    topk: list[list[TokenChoice]] = []
    for start, first, stop in scoring_windows(len(ids), model.config.max_sequence_length):
        hidden = model.hidden(torch.tensor([sequence[start:stop]], device=device))[0]
        for row in range(first, stop, ROWS_AT_ONCE):
            last = min(row + ROWS_AT_ONCE, stop)
            log_probabilities = _log_probabilities(hidden[row - start : last - start], model.head_weight)
            targets = torch.tensor(sequence[row + 1 : last + 1])
            surprisal += (-log_probabilities.gather(1, targets[:, None])[:, 0]).tolist()
            if top_k is not None:
                topk += _likeliest(log_probabilities[:, : tokenizer.vocab_size], top_k, tokenizer)
    return Scored(surprisal, topk if top_k is not None else None)


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


def _log_probabilities(hidden: Tensor, head_weight: Tensor) -> Tensor:
    """ln p [T, V] in float32 on the CPU; DataError(INFERENCE_FAILED) when they are not numbers."""
    logits = (hidden @ head_weight.T).float()
    if not bool(torch.isfinite(logits.amax())):
        raise unusable()
    return torch.log_softmax(logits, dim=-1).cpu()


def _likeliest(log_probabilities: Tensor, top_k: int, tokenizer: TokenizerHandle) -> list[list[TokenChoice]]:
    """The `top_k` likeliest tokens of every row of `log_probabilities` [T, V], likeliest first."""
    values, ids = log_probabilities.topk(min(top_k, log_probabilities.shape[1]), dim=-1)
    return [
        [
            TokenChoice(id=token, token=tokenizer.token_text(token), log_probability=value)
            for token, value in zip(row_ids, row_values, strict=True)
        ]
        for row_ids, row_values in zip(ids.tolist(), values.tolist(), strict=True)
    ]
