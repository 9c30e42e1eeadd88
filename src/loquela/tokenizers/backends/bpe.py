"""Byte-level BPE: starts from the 256 bytes, so that it can say any text and loses none of it."""

from __future__ import annotations

from pathlib import Path

from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from loquela.tokenizers.contract import (
    SPECIAL_TOKENS,
    TokenizerArtifact,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerTrainRequest,
)
from loquela.tokenizers.failures import no_text, vocabulary_too_small
from loquela.tokenizers.huggingface import assemble, load, save
from loquela.tokenizers.operations import HandleOperations
from loquela.tokenizers.streams import TextSeen

NEEDED = len(SPECIAL_TOKENS) + 256


class BpeBackend(HandleOperations):
    """Sennrich et al. 2016 over bytes, words cut as GPT-2 does (Radford et al. 2019)."""

    def name(self) -> str:
        """Registered name."""
        return "bpe"

    def supported_methods(self) -> set[str]:
        """Methods it trains."""
        return {"bpe"}

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Learn merges."""
        if config.vocab_size < NEEDED:
            raise vocabulary_too_small("bpe", config.vocab_size, NEEDED, "4 special tokens and the 256 bytes")
        tokenizer = assemble(BPE(), ByteLevel(add_prefix_space=False), ByteLevelDecoder())
        trainer = BpeTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=ByteLevel.alphabet(),
            show_progress=False,
        )
        texts = TextSeen(request.train_texts())
        tokenizer.train_from_iterator(texts, trainer=trainer)
        if not texts.any:
            raise no_text("bpe")
        return save(tokenizer, "bpe", request, loses="")

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a trained folder."""
        return load(Path(artifact_path), "bpe")
