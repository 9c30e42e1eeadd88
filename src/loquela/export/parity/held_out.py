"""The text that both models are asked about, as the run kept it: validation shards, or rows of a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.examples import EXAMPLES_NAME
from loquela.artifacts.shards import TokenShards
from loquela.artifacts.token_rows import read_token_rows
from loquela.core.errors import DataError, ErrorCode
from loquela.tokenizers.contract import TokenizerHandle

PROMPTS = 5
PROMPT_TOKENS = 8
SMALLEST_WINDOW = 2
# 100 MB of float32: what the logits of one window may take; 512 tokens of a vocabulary of 49 152.
LOGITS_AT_ONCE = 512 * 49_152


@dataclass(frozen=True)
class HeldOut:
    """Windows of tokens, at most `longest_window` long; `bytes_per_token` of the text they are from."""

    text: str
    windows: list[list[int]]
    bytes_per_token: float

    @property
    def prompts(self) -> list[list[int]]:
        """Five stretches, spread over the text, that leave room in the window for what follows them."""
        ids = [token for window in self.windows for token in window]
        length = max(1, min(PROMPT_TOKENS, len(self.windows[0]) // 2))
        return [ids[start : start + length] for start in (len(ids) * i // PROMPTS for i in range(PROMPTS))]


def longest_window(context: int, vocab_size: int) -> int:
    """Tokens that are measured at once: the context, as far as logits of all of them fit into memory."""
    return max(SMALLEST_WINDOW, min(context, LOGITS_AT_ONCE // vocab_size))


def held_out_text(place: Path | None, tokenizer: TokenizerHandle, window: int, tokens: int) -> HeldOut | None:
    """What lies in `place` (shards, or examples cut into rows), None where nothing does; errors as of these."""
    if place is None:
        return None
    if (place / EXAMPLES_NAME).is_file():
        return from_rows(place, tokenizer, window, tokens)
    return from_shards(place, window, tokens)


def from_shards(directory: Path, window: int, tokens: int) -> HeldOut:
    """The first `tokens` of the validation split; DataError(INSUFFICIENT_DATA) when there are none."""
    shards = TokenShards(directory, "validation")
    ids = [int(token) for token in shards.read(0, min(tokens, shards.tokens_total))]
    return in_windows(
        "the validation split of the run", [ids], window, shards.bytes_total / max(shards.tokens_total, 1)
    )


def from_rows(directory: Path, tokenizer: TokenizerHandle, window: int, tokens: int) -> HeldOut | None:
    """The first sequences of the validation rows (of training rows, where nothing was held out), up to `tokens`.

    Every sequence begins a window. None for examples that were never cut into tokens.
    """
    for split in ("validation", "train"):
        sequences = _sequences(directory, split, tokens)
        if sequences:
            size = sum(len(tokenizer.decode(ids).encode()) for ids in sequences)
            count = sum(map(len, sequences))
            return in_windows(f"{split} rows of the run", sequences, window, max(size, 1) / count)
    return None


def in_windows(text: str, sequences: list[list[int]], length: int, bytes_per_token: float) -> HeldOut:
    """The sequences in windows of at most `length`; DataError(INSUFFICIENT_DATA) when there is none of two tokens."""
    windows = [ids[start : start + length] for ids in sequences for start in range(0, len(ids), length)]
    windows = [window for window in windows if len(window) >= SMALLEST_WINDOW]
    if not windows:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"there is nothing to measure the export on: {text} has {sum(map(len, sequences))} tokens",
            "prepare more text for the validation split (data.validation_fraction)",
        )
    return HeldOut(text, windows, bytes_per_token)


def _sequences(directory: Path, split: str, tokens: int) -> list[list[int]]:
    found: list[list[int]] = []
    left = tokens
    for row in read_token_rows(directory, split):
        start = 0
        for length in row.lengths:
            found.append([int(token) for token in row.ids[start : start + min(length, left)]])
            start += length
            left -= len(found[-1])
            if left <= 0:
                return found
    return found
