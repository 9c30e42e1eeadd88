"""An existing tokenizer file → a tokenizer folder."""

from __future__ import annotations

import json
from pathlib import Path

from loquela.core.atomic import write_bytes, write_text
from loquela.core.errors import ErrorCode, RecipeError
from loquela.tokenizers import huggingface
from loquela.tokenizers.contract import JSON_NAME, MODEL_NAME, TokenizerArtifact
from loquela.tokenizers.failures import missing_file, read_file
from loquela.tokenizers.load import method_of
from loquela.tokenizers.sentence_piece import load_model

LOSES_UNKNOWN = "made elsewhere: the file may normalise text; exact_round_trips is what was measured"


def adopt(model_file: Path, directory: Path) -> TokenizerArtifact:
    """Copy a tokenizer.json or SentencePiece .model into `directory`, after proving that it can be read.

    Raises DataError (DATA_NOT_FOUND, CORRUPTION) and RecipeError(UNSUPPORTED_FORMAT) for another kind of file.
    """
    if not model_file.is_file():
        raise missing_file(model_file, "tokenizer file")
    match model_file.suffix.lower():
        case ".json":
            return _adopt_json(model_file, directory)
        case ".model":
            return _adopt_model(model_file, directory)
        case suffix:
            raise RecipeError(
                ErrorCode.UNSUPPORTED_FORMAT,
                f"tokenizer.model_file {model_file} ends in {suffix or 'nothing'}; known: .json and .model",
                "give a Hugging Face tokenizer.json or a SentencePiece .model",
                details={"path": str(model_file)},
            )


def _adopt_json(model_file: Path, directory: Path) -> TokenizerArtifact:
    document = huggingface.read_document(model_file)
    roles = huggingface.read_roles(model_file, document)
    notes = huggingface.disarm(document)
    huggingface.build(document, model_file)
    if notes:
        write_text(directory / JSON_NAME, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        write_bytes(directory / JSON_NAME, read_file(model_file, "tokenizer file"))
    huggingface.write_config(directory, roles)
    notes.append(f"{model_file.name} was loaded, not trained")
    files = [JSON_NAME, huggingface.CONFIG_NAME]
    return TokenizerArtifact(method=method_of(directory / JSON_NAME), files=files, loses=LOSES_UNKNOWN, notes=notes)


def _adopt_model(model_file: Path, directory: Path) -> TokenizerArtifact:
    load_model(model_file)
    write_bytes(directory / MODEL_NAME, read_file(model_file, "tokenizer file"))
    notes = [f"{model_file.name} was loaded, not trained"]
    return TokenizerArtifact(method="sentencepiece", files=[MODEL_NAME], loses=LOSES_UNKNOWN, notes=notes)
