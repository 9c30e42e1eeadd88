"""From a folder to a chat: an engine, and the chat template that came with the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loquela.artifacts.bundle import TOKENIZER_FOLDER, is_bundle
from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest
from loquela.inference.chat import Chat
from loquela.inference.chat_format import PlainFormat
from loquela.inference.chat_template import TemplateFormat
from loquela.inference.open import model_folder, open_engine, tokenizer_folder
from loquela.inference.template_tokens import template_tokens
from loquela.tokenizers.template_file import find_template


def open_chat(path: Path, tokenizer: Path | None = None) -> Chat:
    """A chat with the model in `path`, by the chat template of its folder or its tokenizer's, else in plain turns.

    Errors as `open_engine`; RecipeError(CONFIG_INVALID) for a template that cannot be used.
    """
    engine = open_engine(path, tokenizer)
    folder = path if is_bundle(path) else model_folder(path)
    place = tokenizer or (folder / TOKENIZER_FOLDER if is_bundle(path) else tokenizer_folder(folder))
    try:
        template = find_template([place, folder])
        if template is None:
            return Chat(engine, PlainFormat(engine.tokenizer))
        note = "" if _proven(template.file, [place, folder]) else f"{template.file} is in no manifest: it is not proven"
        tokens = template_tokens(place, engine.tokenizer)
        return Chat(engine, TemplateFormat(template.source, template.origin, tokens, note))
    except BaseException:
        engine.close()
        raise


def _proven(file: Path, folders: Sequence[Path]) -> bool:
    """Whether `file` is listed by the manifest of a folder that it lies in; or none of those folders has one.

    The manifests themselves are proved when the engine is opened.
    """
    sealed = [folder for folder in folders if (folder / MANIFEST_NAME).is_file() and file.is_relative_to(folder)]
    listed = {folder / record.path for folder in sealed for record in read_manifest(folder).files}
    return not sealed or file in listed
