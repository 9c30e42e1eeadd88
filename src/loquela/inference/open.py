"""From a folder to an engine: a run, a model folder, or a checkpoint inside a run."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.checkpoints import list_checkpoints
from loquela.artifacts.manifest import MANIFEST_NAME, verify
from loquela.artifacts.normalization import read_normalization
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.engine import Engine
from loquela.models.folder import load_model
from loquela.tokenizers.contract import JSON_NAME, MODEL_NAME
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.manifest import TOKENIZER_MANIFEST_NAME

CONFIG_NAME = "config.json"
TOKENIZER_FILES = (TOKENIZER_MANIFEST_NAME, JSON_NAME, MODEL_NAME)


def open_engine(path: Path, tokenizer: Path | None = None) -> Engine:
    """The engine of the model in `path`, on the CPU, with the tokenizer found beside it or in `tokenizer`.

    `path` is a run folder (its `best/` model, else `final/`, else its newest checkpoint), a Hugging Face folder
    with tokenizer files, or a checkpoint of a run. Where a folder has a manifest, every file is proved first.
    Raises DataError: DATA_NOT_FOUND, DATASET_NOT_FOUND, CORRUPTION, or what loading finds.
    """
    folder = model_folder(path)
    if (folder / MANIFEST_NAME).is_file():
        verify(folder)
    place = tokenizer or tokenizer_folder(folder)
    return Engine(load_model(folder), load_tokenizer(place), read_normalization(place))


def model_folder(path: Path) -> Path:
    """The folder with the model's files that `path` stands for."""
    if not path.is_dir():
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"no such folder: {path}",
            "give a run folder or a model folder; `loquela runs list` shows the runs",
        )
    for candidate in (path, path / "best", path / "final", *list_checkpoints(path)):
        if (candidate / CONFIG_NAME).is_file():
            return candidate
    raise DataError(
        ErrorCode.DATASET_NOT_FOUND,
        f"there is no model in {path}: no {CONFIG_NAME}, best/, final/ or checkpoints/",
        "give a folder with a model; if this is a run, let its training reach the first checkpoint",
    )


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer of the model in `folder` lies: beside its weights, or in the run it belongs to."""
    places = (folder, folder.parent / "tokenizer", folder.parent.parent / "tokenizer")
    for place in places:
        if any((place / name).is_file() for name in TOKENIZER_FILES):
            return place
    raise DataError(
        ErrorCode.DATASET_NOT_FOUND,
        f"the model in {folder} has no tokenizer: none of {', '.join(TOKENIZER_FILES)} is in "
        + ", ".join(str(place) for place in places),
        f"copy the tokenizer that the model was trained with into {folder}",
    )
