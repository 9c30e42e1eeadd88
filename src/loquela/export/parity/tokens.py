"""The tokenizer that goes with an export: does it still cut text as the model was taught?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from loquela.export.contracts import TokenParity
from loquela.inference.runtimes.contract import Runtime
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.proof_strings import proof_strings


@runtime_checkable
class OwnTokenizer(Protocol):
    """A runtime whose file carries a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without special tokens."""


def compare_tokens(reference: TokenizerHandle, runtime: Runtime, copied: TokenizerHandle) -> TokenParity:
    """The proof strings through `reference` and through the export's own tokenizer, else through the copied folder."""
    own = isinstance(runtime, OwnTokenizer)
    encode: Callable[[str], list[int]] = runtime.encode if isinstance(runtime, OwnTokenizer) else copied.encode
    texts = proof_strings()
    different = [text for text in texts if reference.encode(text) != encode(text)]
    return TokenParity(
        own=own,
        strings=len(texts),
        equal=len(texts) - len(different),
        first_difference=different[0] if different else None,
    )
