"""The tokenizer that goes with an export: does it still cut text as the model was taught?"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from loquela.export.contracts import TokenParity
from loquela.inference.runtimes.contract import Runtime
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.proof_strings import proof_strings

BYTE_ORDER_MARK = "\ufeff"

Encode: TypeAlias = Callable[[str], list[int]]
Verdict: TypeAlias = Literal["equal", "reordered", "unmarked", "uncomposed", "different"]


@runtime_checkable
class OwnTokenizer(Protocol):
    """A runtime whose file carries a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without special tokens."""


def compare_tokens(reference: TokenizerHandle, runtime: Runtime, copied: TokenizerHandle) -> TokenParity:
    """The proof strings through `reference` and through the export's own tokenizer, else through the copied folder."""
    own = isinstance(runtime, OwnTokenizer)
    encode: Encode = runtime.encode if isinstance(runtime, OwnTokenizer) else copied.encode
    texts = proof_strings()
    counts: Counter[Verdict] = Counter()
    first = None
    for text in texts:
        verdict = judge(reference, text, encode)
        counts[verdict] += 1
        if verdict == "different" and first is None:
            first = text
    return TokenParity(
        own=own,
        strings=len(texts),
        equal=counts["equal"],
        reordered=counts["reordered"],
        unmarked=counts["unmarked"],
        uncomposed=counts["uncomposed"],
        first_difference=first,
    )


def judge(reference: TokenizerHandle, text: str, encode: Encode) -> Verdict:
    """How the ids that `encode` gives `text` are related to those of `reference`; see TokenParity."""
    wanted, found = reference.encode(text), encode(text)
    if found == wanted:
        return "equal"
    if text.startswith(BYTE_ORDER_MARK) and found == reference.encode(text.removeprefix(BYTE_ORDER_MARK)):
        return "unmarked"
    composed = unicodedata.normalize("NFC", text)
    if composed != text and reference.encode(composed) == wanted == encode(composed):
        return "uncomposed"
    # A unigram's likelihood is the sum of its pieces': the order of equal sums is a matter of the implementation.
    return "reordered" if reference.method == "unigram" and sorted(found) == sorted(wanted) else "different"
