"""What every backend offers beside train and load, in terms of the handle alone."""

from __future__ import annotations

from loquela.tokenizers.contract import TextStream, TokenizerHandle, TokenizerStats
from loquela.tokenizers.statistics import measure


class HandleOperations:
    """Base of the built-in backends; a stranger's backend may use it too."""

    def inspect(self, handle: TokenizerHandle, texts: TextStream) -> TokenizerStats:
        """Measure `handle` on `texts`."""
        return measure(handle, texts)

    def encode(self, handle: TokenizerHandle, text: str) -> list[int]:
        """Ids of `text`."""
        return handle.encode(text)

    def decode(self, handle: TokenizerHandle, ids: list[int]) -> str:
        """Text of `ids`."""
        return handle.decode(ids)
