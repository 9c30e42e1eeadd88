"""A tokenizer folder → the vocabulary of a GGUF file.

    byte-level BPE (tokenizer.json)          gpt2, with the pre-tokenizer that cuts words as the file does
    unigram with bytes (trained here)        plamo2, the one unigram model of llama.cpp that falls back to bytes
    SentencePiece, bpe                       llama

Each is proved by encoding the proof strings with llama.cpp; what cannot be told from the file is refused.
"""

from __future__ import annotations

from pathlib import Path

from loquela.core.errors import RecipeError
from loquela.export.contract import TokenizerFacts, unsupported
from loquela.export.formats.gguf.vocabulary_bpe import bpe_vocabulary
from loquela.export.formats.gguf.vocabulary_contract import Vocabulary, refused
from loquela.export.formats.gguf.vocabulary_sentencepiece import (
    UNIGRAM_REMEDY,
    UNIGRAM_WHY,
    sentencepiece_vocabulary,
)
from loquela.export.formats.gguf.vocabulary_unigram import unigram_vocabulary
from loquela.tokenizers import huggingface
from loquela.tokenizers.contract import JSON_NAME, MODEL_NAME

METHODS = ("bpe", "unigram", "sentencepiece")


def check_tokenizer(facts: TokenizerFacts) -> None:
    """RecipeError(UNSUPPORTED_FORMAT) for what llama.cpp cannot encode with, by method, and by the file if any."""
    if facts.file is not None:
        read_vocabulary_file(facts.file)
        return
    if (facts.method, facts.model_type) == ("sentencepiece", "unigram"):
        raise refused(UNIGRAM_WHY, UNIGRAM_REMEDY)
    if facts.method not in METHODS:
        raise unsupported(
            f"a {facts.method} tokenizer to gguf",
            _WHY.get(facts.method, "llama.cpp has nothing that encodes as it does"),
            f"set tokenizer.method to one of {', '.join(METHODS)}, or choose another export.format",
        )


_WHY = {
    "char": "llama.cpp has no tokenizer of single characters that keeps unknown ones apart",
    "word": "llama.cpp has no tokenizer of whole words",
    "wordpiece": "llama.cpp's WordPiece drops control characters and has its own rules for cutting words",
}


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of the tokenizer in `folder`; RecipeError(UNSUPPORTED_FORMAT) says what llama.cpp lacks."""
    path = folder / JSON_NAME
    return read_vocabulary_file(path if path.is_file() else folder / MODEL_NAME)


def read_vocabulary_file(path: Path) -> Vocabulary:
    """The vocabulary of a tokenizer.json or SentencePiece .model; raises as `read_vocabulary`."""
    if path.suffix.lower() != ".json":
        return sentencepiece_vocabulary(path)
    document = huggingface.read_document(path)
    roles = huggingface.read_roles(path, document)
    model = document.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind == "BPE":
        return bpe_vocabulary(document, roles)
    if kind == "Unigram":
        return unigram_vocabulary(document, roles)
    raise _unknown(str(kind))


def _unknown(kind: str) -> RecipeError:
    return unsupported(
        f"a tokenizer of type {kind} to gguf",
        "llama.cpp has nothing that encodes as it does",
        f"set tokenizer.method to one of {', '.join(METHODS)}, or choose another export.format",
    )
