"""One token per Unicode character: the smallest vocabulary, the longest sequences."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from tokenizers.decoders import Fuse
from tokenizers.models import BPE

from loquela.tokenizers.contract import (
    SPECIAL_TOKENS,
    UNKNOWN,
    TokenizerArtifact,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerTrainRequest,
)
from loquela.tokenizers.counting import count
from loquela.tokenizers.failures import no_text, nothing_frequent, vocabulary_too_small
from loquela.tokenizers.huggingface import assemble, load, save
from loquela.tokenizers.operations import HandleOperations

LOSES = "a character that the training text does not hold often enough becomes <unk>"


class CharBackend(HandleOperations):
    """Characters (Unicode scalar values) seen at least `min_frequency` times, most frequent first."""

    def name(self) -> str:
        """Registered name."""
        return "char"

    def supported_methods(self) -> set[str]:
        """Methods it trains."""
        return {"char"}

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Count characters."""
        counts, _ = count(chain.from_iterable(request.train_texts()))
        if not counts:
            raise no_text("char")
        kept = [sign for sign, times in counts.items() if times >= config.min_frequency]
        if not kept:
            raise nothing_frequent("char", config.min_frequency)
        alphabet = sorted(kept, key=lambda sign: (-counts[sign], sign))
        vocabulary = {token: number for number, token in enumerate(SPECIAL_TOKENS + alphabet)}
        if len(vocabulary) > config.vocab_size:
            why = f"4 special tokens and {len(alphabet)} characters seen {config.min_frequency} times or more"
            raise vocabulary_too_small("char", config.vocab_size, len(vocabulary), why)
        # BPE without merges: the library's fastest way to look up characters one by one
        model = BPE(vocabulary, [], unk_token=UNKNOWN, fuse_unk=False)
        rare = len(counts) - len(kept)
        notes = [f"distinct characters seen fewer than {config.min_frequency} times, now <unk>: {rare}"] if rare else []
        return save(assemble(model, None, Fuse()), "char", request, loses=LOSES, notes=notes)

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a trained folder."""
        return load(Path(artifact_path), "char")
