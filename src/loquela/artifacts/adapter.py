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

from loquela.artifacts.base import BaseIdentity, read_base
from loquela.artifacts.manifest import Manifest, verify
from loquela.core.errors import DataError, ErrorCode

KIND = "adapter"
CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
MADE_FROM = ("base", "examples")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
# There where answers end in another token than the base stops at.
GENERATION_NAME = "generation_config.json"


@dataclass(frozen=True)
class AdapterFolder:
    """An adapter whose every file was proven; `base` is what it was trained on."""

    directory: Path
    manifest: Manifest
    base: BaseIdentity

    @property
    def digest(self) -> str:
        """The adapter's own; a final artifact has it among its parents."""
        return self.manifest.parents.get(KIND, self.manifest.digest)

    @property
    def lineage(self) -> dict[str, str]:
        """Role → digest of what the adapter was made from, and of the adapter."""
        made_from = {role: digest for role, digest in self.manifest.parents.items() if role in MADE_FROM}
        return {**made_from, KIND: self.digest}

    def copy_tokenizer(self, target: Path) -> None:
        """Copy tokenizer files, chat template and stop tokens to `target`; OSError when the file system refuses."""
        for name in (*TOKENIZER_FILES, GENERATION_NAME):
            if (self.directory / name).is_file():
                shutil.copyfile(self.directory / name, target / name)


def is_adapter(directory: Path) -> bool:
    """Whether `directory` looks like an adapter."""
    return (directory / CONFIG_NAME).is_file()


def require_adapter(directory: Path) -> None:
    """DataError(DATASET_NOT_FOUND) when there is no adapter in `directory`: nothing, or a whole model."""
    if not is_adapter(directory):
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{directory} holds no adapter: it has no {CONFIG_NAME}",
            "give a run that has trained an adapter, its adapter/ or its final_artifact/",
            details={"path": str(directory)},
        )


def open_adapter(directory: Path) -> AdapterFolder:
    """Prove every file of the adapter in `directory`, a final artifact or a bare one.

    Raises DataError: DATASET_NOT_FOUND where there is none, CORRUPTION for a file that is missing, cut or changed.
    """
    require_adapter(directory)
    return AdapterFolder(directory, verify(directory), read_base(directory))
