"""From a folder to an engine: a bundle, a run, a model folder, or a checkpoint inside a run.

Torch is loaded only for what needs it: an ONNX or GGUF bundle is opened without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loquela.artifacts.adapter import CONFIG_NAME as ADAPTER_CONFIG_NAME
from loquela.artifacts.base import BASE_NAME, base_location, read_base
from loquela.artifacts.bundle import is_bundle, open_bundle
from loquela.artifacts.checkpoints import list_checkpoints
from loquela.artifacts.manifest import MANIFEST_NAME, verify
from loquela.artifacts.normalization import read_normalization
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.engine import Engine, TextEdges
from loquela.inference.exact_export import exact_export
from loquela.inference.runtimes.registry import runtime_opener
from loquela.inference.text_edges import beginning_id, stop_ids
from loquela.tokenizers.contract import JSON_NAME, MODEL_NAME
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.manifest import TOKENIZER_MANIFEST_NAME

if TYPE_CHECKING:
    from loquela.inference.model_engine import ModelEngine

CONFIG_NAME = "config.json"
# Any of them makes a folder a model: a whole one, an adapter, the record of a base that lies elsewhere.
MODEL_FILES = (CONFIG_NAME, ADAPTER_CONFIG_NAME, BASE_NAME)
MODELS_OF_A_RUN = ("best", "final", "merged", "adapter")
TOKENIZER_FILES = (TOKENIZER_MANIFEST_NAME, JSON_NAME, MODEL_NAME)


def open_engine(path: Path, tokenizer: Path | None = None) -> Engine:
    """The engine of the model in `path`, on the CPU, with the tokenizer found beside it or in `tokenizer`.

    `path` is a bundle (any format, run by the runtime that it names), a run or a checkpoint, a model folder, a base,
    or an adapter, which is put on the base that it was trained on. Where a folder has a manifest, every file is proved
    first. The fastest export that leaves the model of a run as it is takes its place (`exact_export`).

    Raises DataError: DATA_NOT_FOUND, DATASET_NOT_FOUND, CORRUPTION, DATA_CHANGED, or what loading finds;
    ResourceError(MISSING_EXTRA) when the runtime is not installed.
    """
    if is_bundle(path):
        return _open_bundle(path, tokenizer)
    folder = model_folder(path)
    exported = exact_export(path, folder) if folder != path else None
    if exported is not None:
        return _open_bundle(exported, tokenizer)
    if (folder / MANIFEST_NAME).is_file():
        verify(folder)
    from loquela.inference.open_pretrained import computed_elsewhere, open_pretrained

    place = tokenizer or tokenizer_folder(folder)
    return open_pretrained(folder, place) if computed_elsewhere(folder) else _open_own(folder, place)


def open_model_engine(path: Path, tokenizer: Path | None = None) -> ModelEngine:
    """The engine, in torch, of a run folder (its `best/` model, else `final/`, else its newest checkpoint), a
    Hugging Face folder with tokenizer files, or a checkpoint of a run; errors as `open_engine`.
    """
    folder = model_folder(path)
    if (folder / MANIFEST_NAME).is_file():
        verify(folder)
    return _open_own(folder, tokenizer or tokenizer_folder(folder))


def _open_own(folder: Path, place: Path) -> ModelEngine:
    from loquela.inference.model_engine import ModelEngine
    from loquela.models.folder import load_model

    edges = TextEdges(beginning_id(place), stop_ids(folder))
    return ModelEngine(load_model(folder), load_tokenizer(place), read_normalization(place), edges)


def _open_bundle(directory: Path, tokenizer: Path | None) -> Engine:
    bundle = open_bundle(directory)
    place = tokenizer or bundle.tokenizer
    handle, normalization = load_tokenizer(place), read_normalization(place)
    runtime = runtime_opener(bundle.facts.runtime)(directory, bundle.facts)
    edges = TextEdges(bundle.facts.beginning_id, frozenset(bundle.facts.stop_ids))
    return Engine(runtime, handle, normalization, trained_window=bundle.facts.context, edges=edges)


def model_folder(path: Path) -> Path:
    """The folder with the model's files that `path` stands for."""
    if not path.is_dir():
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"no such folder: {path}",
            "give a run folder or a model folder; `loquela runs list` shows the runs",
        )
    for candidate in (path, *(path / name for name in MODELS_OF_A_RUN), *list_checkpoints(path)):
        if any((candidate / name).is_file() for name in MODEL_FILES):
            return candidate
    raise DataError(
        ErrorCode.DATASET_NOT_FOUND,
        f"there is no model in {path}: no {CONFIG_NAME}, {', '.join(MODELS_OF_A_RUN)} or checkpoints",
        "give a folder with a model; if this is a run, let its training reach the first checkpoint",
    )


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer of the model in `folder` lies: beside its weights, with its base, or in its run."""
    places = [folder, folder.parent / "tokenizer", folder.parent.parent / "tokenizer"]
    if (folder / BASE_NAME).is_file():
        places.insert(1, base_location(folder, read_base(folder)))
    for place in places:
        if any((place / name).is_file() for name in TOKENIZER_FILES):
            return place
    raise DataError(
        ErrorCode.DATASET_NOT_FOUND,
        f"the model in {folder} has no tokenizer: none of {', '.join(TOKENIZER_FILES)} is in "
        + ", ".join(str(place) for place in places),
        f"copy the tokenizer that the model was trained with into {folder}",
    )
