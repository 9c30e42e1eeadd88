"""Requests, results and errors of the preprocessing components, with the fields that their specification gives."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.recipe.schema import TokenizerMethod


class PreprocessingConfig(BoundaryModel):
    """How one text becomes tokens."""

    tokenizer_type: TokenizerMethod
    lowercase: bool = False
    remove_special_chars: bool = False
    max_sequence_length: int = Field(ge=1, description="a text of more tokens is refused, never cut")


class DataPreprocessorRequest(BoundaryModel):
    """One text to normalise and tokenise."""

    raw_data: str
    preprocessing_config: PreprocessingConfig


class PreprocessingMetadata(BoundaryModel):
    """`original_length` in characters; `compression_ratio` = characters a token."""

    original_length: int
    compression_ratio: float


class DataPreprocessorResult(BoundaryModel):
    """The token ids of one text, without special tokens."""

    processed_id: UUID = Field(default_factory=uuid4)
    tokens: list[int]
    token_count: int
    metadata: PreprocessingMetadata


class DataPreprocessorError(BoundaryModel):
    """`position`: character (TOKENIZATION_FAILED) or token (SEQUENCE_TOO_LONG) at fault; `context`: text there."""

    error_code: Literal["TOKENIZATION_FAILED", "SEQUENCE_TOO_LONG"]
    position: int
    context: str


class SplitRatios(BoundaryModel):
    """Shares of the three splits; they add up to 1."""

    train: float = Field(ge=0, le=1)
    validation: float = Field(ge=0, le=1)
    test: float = Field(ge=0, le=1)


class DatasetBuilderRequest(BoundaryModel):
    """Token sequences to divide and persist."""

    processed_tokens: list[list[int]]
    split_ratios: SplitRatios
    shuffle: bool = True
    seed: int


class BuiltSplit(BoundaryModel):
    """Number of sequences, and the folder of the shards."""

    size: int
    path: str


class BuiltSplits(BoundaryModel):
    """The three splits."""

    train: BuiltSplit
    validation: BuiltSplit
    test: BuiltSplit


class DatasetStatistics(BoundaryModel):
    """`avg_sequence_length` in tokens without eos; `vocabulary_size` is the tokenizer's."""

    total_samples: int
    avg_sequence_length: float
    vocabulary_size: int


class DatasetBuilderResult(BoundaryModel):
    """A shards artifact; `dataset_id` is the first half of the digest in its manifest."""

    dataset_id: UUID
    splits: BuiltSplits
    statistics: DatasetStatistics


class DatasetBuilderError(BoundaryModel):
    """Why no dataset was built."""

    error_code: Literal["SPLIT_RATIO_INVALID", "INSUFFICIENT_DATA", "WRITE_FAILED"]
    message: str
