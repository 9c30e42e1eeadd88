"""A tokenizer folder → a handle."""

from __future__ import annotations

from pathlib import Path

from loquela.tokenizers import huggingface
from loquela.tokenizers.contract import JSON_NAME, MODEL_NAME, TokenizerHandle
from loquela.tokenizers.failures import missing_file
from loquela.tokenizers.manifest import check_files, read_tokenizer_manifest
from loquela.tokenizers.methods import TOKENIZERS

METHOD_OF_MODEL = {"BPE": "bpe", "Unigram": "unigram", "WordPiece": "wordpiece", "WordLevel": "word"}
"""Our names for the model types of a tokenizer.json."""


def load_tokenizer(directory: Path) -> TokenizerHandle:
    """Open the tokenizer in `directory`, made here or by others, and prove its files by their digests.

    Raises DataError: DATA_NOT_FOUND when there is none, CORRUPTION for a damaged file; RecipeError
    (NOT_REGISTERED) when the method that made it is not installed.
    """
    manifest = read_tokenizer_manifest(directory)
    if manifest is None:
        return load_foreign(directory)
    check_files(directory, manifest.files)
    if manifest.origin == "loaded":
        return load_foreign(directory)
    return TOKENIZERS.get(manifest.method).load(str(directory))


def load_foreign(directory: Path) -> TokenizerHandle:
    """Open a tokenizer.json or tokenizer.model that was not trained here."""
    if (directory / JSON_NAME).is_file():
        method = method_of(directory / JSON_NAME)
        return huggingface.load(directory, method)
    if (directory / MODEL_NAME).is_file():
        return TOKENIZERS.get("sentencepiece").load(str(directory))
    raise missing_file(directory, f"tokenizer ({JSON_NAME} or {MODEL_NAME})")


def method_of(path: Path) -> str:
    """Which of our methods a tokenizer.json is; an unknown model type gives its own name in lower case."""
    model = huggingface.read_document(path).get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    return METHOD_OF_MODEL.get(str(kind), str(kind).lower())
