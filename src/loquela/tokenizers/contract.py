"""What a tokenizer method must do, and the values that pass between it and its callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from pydantic import Field

from loquela.core.model import BoundaryModel

PAD, UNKNOWN, BEGIN, END = "<pad>", "<unk>", "<bos>", "<eos>"
SPECIAL_TOKENS = [PAD, UNKNOWN, BEGIN, END]
"""Special tokens of every tokenizer trained here; the position is the id."""

ABSENT = -1
"""Id of a special token that a loaded model does not have."""

JSON_NAME = "tokenizer.json"
MODEL_NAME = "tokenizer.model"

TextStream = Callable[[], Iterator[str]]
"""Starts the stream of documents anew at every call."""


class TokenizerConfig(BoundaryModel):
    """What to train. Normalisation is done by the data stages before a tokenizer sees the text."""

    method: str
    vocab_size: int = Field(ge=1)
    min_frequency: int = Field(2, ge=1)
    model_type: str = Field("unigram", description="algorithm inside a SentencePiece model: unigram or bpe")
    special_tokens: list[str] = Field(default_factory=lambda: list(SPECIAL_TOKENS))


class TokenizerTrainRequest(BoundaryModel):
    """Where the text comes from and where the files go.

    `threads` is a number of partitions, not of this machine's cores: floating-point sums depend on it, so it is
    the same everywhere and the same text gives the same bytes on every machine.
    """

    train_texts: TextStream
    directory: Path
    threads: int = Field(4, ge=1, le=256)


class TokenizerArtifact(BoundaryModel):
    """Files a backend wrote into the request's directory, what decoding cannot bring back, what was left out."""

    method: str
    files: list[str] = Field(min_length=1)
    loses: str = Field("", description="in words; empty: nothing")
    notes: list[str] = Field(default_factory=list)


class LengthDistribution(BoundaryModel):
    """Tokens per document."""

    minimum: int
    p50: int
    p90: int
    p95: int
    p99: int
    maximum: int
    mean: float


class TokenizerStats(BoundaryModel):
    """What a tokenizer does to held-out text. Ratios are None where there was no text to divide by."""

    method: str
    vocab_size: int
    requested_vocab_size: int | None = Field(None, description="None: the vocabulary was loaded, not trained")
    documents: int
    characters: int
    bytes: int = Field(description="UTF-8")
    words: int = Field(description="separated by white space")
    token_count: int
    unknown_tokens: int
    oov_rate: float | None = Field(description="unknown tokens / tokens")
    coverage: float | None = Field(description="1 - oov_rate")
    char_coverage: float | None = Field(description="share of characters that have a token (or bytes) of their own")
    exact_round_trips: float | None = Field(description="share of documents that decode to exactly themselves")
    characters_per_token: float | None
    bytes_per_token: float | None
    tokens_per_word: float | None
    lengths: LengthDistribution | None
    loses: str = Field("", description="what the method cannot bring back, in words; empty: nothing")
    notes: list[str] = Field(default_factory=list)


class TokenizerHandle(Protocol):
    """A tokenizer ready to use. Special ids are 0, 1, 2, 3 for those trained here; ABSENT (-1) where a loaded
    model has none.
    """

    @property
    def method(self) -> str:
        """Registered name of the method."""

    @property
    def vocab_size(self) -> int:
        """Number of ids: every id is below it."""

    @property
    def pad_id(self) -> int:
        """Padding."""

    @property
    def unk_id(self) -> int:
        """Stands for what the vocabulary cannot say."""

    @property
    def bos_id(self) -> int:
        """Beginning of a text."""

    @property
    def eos_id(self) -> int:
        """End of a text."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special tokens are added, and text that spells one stays text.

        Raises DataError(TOKENIZATION_FAILED) for text that is not Unicode (lone surrogates).
        """

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` of every text, on all threads."""

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, special tokens left out; DataError(TOKENIZATION_FAILED) for an id out of range."""

    def token_text(self, token_id: int) -> str:
        """One token for people to read."""


class TokenizerBackend(Protocol):
    """A tokenizer method. Factories of these are registered in the entry-point group `loquela.tokenizers`."""

    def name(self) -> str:
        """Registered name."""

    def supported_methods(self) -> set[str]:
        """Values of `tokenizer.method` that it trains."""

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Train on `request.train_texts` and write the files; the same text gives the same bytes.

        Raises DataError(TOKENIZER_TRAIN_FAILED) when there is nothing to learn from, RecipeError with the same
        code and the number needed when `vocab_size` is too small.
        """

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open the folder that `train` wrote; DataError(CORRUPTION) for a damaged file."""

    def inspect(self, handle: TokenizerHandle, texts: TextStream) -> TokenizerStats:
        """Measure `handle` on `texts`."""

    def encode(self, handle: TokenizerHandle, text: str) -> list[int]:
        """Same as `handle.encode`."""

    def decode(self, handle: TokenizerHandle, ids: list[int]) -> str:
        """Same as `handle.decode`."""
