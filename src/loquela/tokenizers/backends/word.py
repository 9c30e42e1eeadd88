"""One token per word or punctuation sign: short sequences, many unknowns; white space is not kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer

from loquela.tokenizers.contract import (
    SPECIAL_TOKENS,
    UNKNOWN,
    TextStream,
    TokenizerArtifact,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerTrainRequest,
)
from loquela.tokenizers.counting import count
from loquela.tokenizers.failures import no_text, nothing_frequent, vocabulary_too_small
from loquela.tokenizers.huggingface import assemble, load, save
from loquela.tokenizers.operations import HandleOperations

LOSES = "white space comes back as one space between tokens, and a word outside the vocabulary becomes <unk>"
NEEDED = len(SPECIAL_TOKENS) + 1


class WordBackend(HandleOperations):
    """The most frequent words seen at least `min_frequency` times."""

    def name(self) -> str:
        """Registered name."""
        return "word"

    def supported_methods(self) -> set[str]:
        """Methods it trains."""
        return {"word"}

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Count words."""
        if config.vocab_size < NEEDED:
            raise vocabulary_too_small("word", config.vocab_size, NEEDED, "4 special tokens and one word")
        counts, dropped = count(_words(request.train_texts))
        if not counts:
            raise no_text("word")
        kept = [word for word, times in counts.items() if times >= config.min_frequency]
        if not kept:
            raise nothing_frequent("word", config.min_frequency)
        ranked = sorted(kept, key=lambda word: (-counts[word], word))[: config.vocab_size - len(SPECIAL_TOKENS)]
        vocabulary = {token: number for number, token in enumerate(SPECIAL_TOKENS + ranked)}
        notes = [f"{len(ranked)} of {len(counts)} distinct training words are in the vocabulary"]
        if dropped:
            notes.append(f"words seen {dropped} times or fewer were dropped while counting, to stay in memory")
        tokenizer = assemble(WordLevel(vocabulary, unk_token=UNKNOWN), BertPreTokenizer(), None)
        return save(tokenizer, "word", request, loses=LOSES, notes=notes)

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a trained folder."""
        return load(Path(artifact_path), "word")


def _words(texts: TextStream) -> Iterator[str]:
    """The texts cut by the very cutter that will cut them when they are encoded."""
    cutter = BertPreTokenizer()
    for text in texts():
        for word, _ in cutter.pre_tokenize_str(text):
            yield word
