"""Folders that people load: `best/` and `final/` = model files and the tokenizer's files beside them."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError

from loquela.artifacts.manifest import MANIFEST_NAME
from loquela.models.build import empty_model
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.folder import save_model
from loquela.tokenizers.contract import TokenizerHandle
from loquela.training.checkpoint import Export, Tensors


def exporter(
    config: TransformerConfig | RecurrentConfig, tokenizer: TokenizerHandle, tokenizer_directory: Path
) -> Export:
    """A function (folder, weights) that writes model and tokenizer into an empty folder; OSError when it cannot."""

    def export(folder: Path, weights: Tensors) -> None:
        # A network without memory of its own takes the weights as they are: nothing is copied.
        with torch.device("meta"):
            model = empty_model(config)
        model.load_state_dict(weights, assign=True)
        try:
            save_model(model, folder, bos_id=tokenizer.bos_id, eos_id=tokenizer.eos_id, pad_id=tokenizer.pad_id)
        except SafetensorError as error:
            full = "No space left" in str(error)
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(folder)) from error
        copy_tokenizer(tokenizer_directory, folder)

    return export


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer's files, not the manifest of its folder, without covering what the model wrote."""
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_file() and path.name != MANIFEST_NAME and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
