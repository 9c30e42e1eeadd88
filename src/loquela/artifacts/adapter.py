"""The adapter artifact: what a fine-tuning learnt, and everything that is needed to use it on its base.

    adapter/
      adapter_config.json, adapter_model.safetensors    as plain PEFT loads them
      base.json                                         `BaseIdentity` of the base that it was trained on
      tokenizer.json, chat_template.jinja, …            with which it was trained
      manifest.json                                     kind "adapter"; parents: base, examples

A fine-tuning of all weights leaves a whole Hugging Face model folder there instead.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.base import BASE_NAME, BaseIdentity, read_base
from loquela.artifacts.manifest import MANIFEST_NAME, Manifest, verify

KIND = "adapter"
CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
# Everything else in the folder belongs to the tokenizer or is the template.
NOT_TOKENIZER = (CONFIG_NAME, WEIGHTS_NAME, BASE_NAME, MANIFEST_NAME, "README.md")


@dataclass(frozen=True)
class AdapterFolder:
    """An adapter whose every file was proven; `base` is what it was trained on."""

    directory: Path
    manifest: Manifest
    base: BaseIdentity

    def copy_tokenizer(self, target: Path) -> None:
        """Copy tokenizer files and chat template to `target`; OSError when the file system refuses."""
        for record in self.manifest.files:
            if record.path not in NOT_TOKENIZER and "/" not in record.path:
                shutil.copyfile(self.directory / record.path, target / record.path)


def is_adapter(directory: Path) -> bool:
    """Whether `directory` looks like an adapter."""
    return (directory / CONFIG_NAME).is_file()


def open_adapter(directory: Path) -> AdapterFolder:
    """Prove every file of the adapter in `directory`.

    Raises DataError: DATASET_NOT_FOUND where there is none, CORRUPTION for a file that is missing, cut or changed.
    """
    manifest = verify(directory, KIND)
    return AdapterFolder(directory, manifest, read_base(directory))
