"""A SentencePiece `.model`, unigram or bpe, trained here or brought along."""

from __future__ import annotations

from pathlib import Path

from loquela.core.atomic import write_bytes
from loquela.tokenizers.contract import (
    MODEL_NAME,
    TokenizerArtifact,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerTrainRequest,
)
from loquela.tokenizers.operations import HandleOperations
from loquela.tokenizers.sentence_piece import SentencePieceHandle, load_model, model_path, train_model

LOSES = "U+2581 (▁) comes back as a space"


class SentencePieceBackend(HandleOperations):
    """Kudo & Richardson 2018, without its usual normalisation: spaces and newlines are kept as they are."""

    def name(self) -> str:
        """Registered name."""
        return "sentencepiece"

    def supported_methods(self) -> set[str]:
        """Methods it trains."""
        return {"sentencepiece"}

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Train and write tokenizer.model."""
        data, notes = train_model(config, request)
        write_bytes(model_path(request.directory), data)
        return TokenizerArtifact(method="sentencepiece", files=[MODEL_NAME], loses=LOSES, notes=notes)

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a folder with a tokenizer.model."""
        return SentencePieceHandle(load_model(model_path(Path(artifact_path))))
