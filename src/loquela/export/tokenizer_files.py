"""The tokenizer's files, out of whatever folder they lie in."""

from __future__ import annotations

import shutil
from pathlib import Path

from loquela.artifacts.bundle import BUNDLE_NAME, REPORT_NAME
from loquela.artifacts.manifest import MANIFEST_NAME

# A model folder holds weights and records beside its tokenizer: those are not the tokenizer's.
OF_THE_MODEL = {"config.json", "generation_config.json", "README.md", MANIFEST_NAME, BUNDLE_NAME, REPORT_NAME}
WEIGHTS = (".safetensors", ".safetensors.index.json", ".bin", ".gguf", ".onnx", ".pt")


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer's files from `source`, which may be a model folder, to the new folder `target`."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name not in OF_THE_MODEL and not path.name.endswith(WEIGHTS):
            shutil.copyfile(path, target / path.name)
