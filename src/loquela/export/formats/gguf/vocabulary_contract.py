"""What a GGUF file says about its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from loquela.core.errors import RecipeError
from loquela.export.contract import unsupported


class TokenKind(IntEnum):
    """llama.cpp's kinds of tokens (llama_token_type)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass
class Vocabulary:
    """`model` and `pre` are llama.cpp's names; a token's place is its id; `roles` has those there are."""

    model: str
    tokens: list[str]
    kinds: list[TokenKind]
    pre: str | None = None
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    roles: dict[str, int] = field(default_factory=dict)
    add_space_prefix: bool = False
    chat_template: str | None = None

    def text_of(self, role: str) -> str:
        """The token that plays `role`, empty where none does."""
        return self.tokens[self.roles[role]] if role in self.roles else ""

    def padded(self, size: int) -> Vocabulary:
        """With unused tokens up to `size`, for embeddings that have more rows than the tokenizer has tokens."""
        missing = range(len(self.tokens), size)
        self.tokens += [f"[UNUSED{token_id}]" for token_id in missing]
        self.kinds += [TokenKind.UNUSED for _ in missing]
        self.scores += [0.0 for _ in missing] if self.scores else []
        return self


def refused(
    why: str, remedy: str = "train one with tokenizer.method bpe, or choose another export.format"
) -> RecipeError:
    """The error for a tokenizer that llama.cpp cannot express."""
    return unsupported("this tokenizer to gguf", why, remedy)
