"""The text that both models are asked about: the run's validation shards, or the proof strings where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.shards import TokenShards
from loquela.core.errors import DataError, ErrorCode
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.proof_strings import proof_strings

PROMPTS = 5
PROMPT_TOKENS = 8
SMALLEST_WINDOW = 2


@dataclass(frozen=True)
class HeldOut:
    """Windows of tokens, at most a context long; `bytes_per_token` of the text they are from."""

    text: str
    windows: list[list[int]]
    bytes_per_token: float

    @property
    def prompts(self) -> list[list[int]]:
        """Five stretches, spread over the text, that leave room in the window for what follows them."""
        ids = [token for window in self.windows for token in window]
        length = max(1, min(PROMPT_TOKENS, len(self.windows[0]) // 2))
        return [ids[start : start + length] for start in (len(ids) * i // PROMPTS for i in range(PROMPTS))]


def from_shards(directory: Path, context: int, tokens: int) -> HeldOut:
    """The first `tokens` of the validation split; DataError(INSUFFICIENT_DATA) when there are none."""
    shards = TokenShards(directory, "validation")
    ids = [int(token) for token in shards.read(0, min(tokens, shards.tokens_total))]
    return _cut("the validation split of the run", ids, context, shards.bytes_total / max(shards.tokens_total, 1))


def from_proof_strings(tokenizer: TokenizerHandle, context: int, tokens: int) -> HeldOut:
    """The proof strings, one after the other."""
    texts = proof_strings()
    ids = [token for found in tokenizer.encode_batch(texts) for token in found]
    size = sum(len(text.encode()) for text in texts)
    return _cut("two hundred short texts in many scripts", ids[:tokens], context, size / max(len(ids), 1))


def _cut(text: str, ids: list[int], context: int, bytes_per_token: float) -> HeldOut:
    windows = [ids[start : start + context] for start in range(0, len(ids), context)]
    windows = [window for window in windows if len(window) >= SMALLEST_WINDOW]
    if not windows:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"there is nothing to measure the export on: {text} has {len(ids)} tokens",
            "prepare more text for the validation split (data.validation_fraction)",
        )
    return HeldOut(text, windows, bytes_per_token)
