"""The bundle artifact: one trained model in one format, with all that is needed to run it and to prove it.

bundle/
  bundle.json          `BundleFacts`
  <model files>        what `model_file` names is given to the runtime
  tokenizer/           our tokenizer folder, normalization.json included
  export_report.json   what the export measured against the model it was made from
  README.md            for people
  manifest.json        kind "bundle"; parents: the checkpoint
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from loquela.artifacts.manifest import Manifest, corrupt, verify
from loquela.core.atomic import write_text
from loquela.core.model import BoundaryModel
from loquela.recipe.export_section import ExportFormat as ExportFormat
from loquela.recipe.export_section import Quantization as Quantization

BUNDLE_NAME = "bundle.json"
REPORT_NAME = "export_report.json"
TOKENIZER_FOLDER = "tokenizer"
BUNDLE_KIND = "bundle"
EXPORTS_FOLDER = "exports"
"""Of a run: where its bundles lie."""

RuntimeName = Literal["torch", "onnxruntime", "torchscript", "llama.cpp"]


class GoldenPrompt(BoundaryModel):
    """A prompt and what the exported model wrote after it, greedily; a runtime that is whole writes the same."""

    prompt_ids: list[int] = Field(min_length=1)
    continuation_ids: list[int]


class BundleFacts(BoundaryModel):
    """What is in a bundle and how it is run.

    `scheme` says in words how weights are stored, `pruning` is the share of matrix weights that were set to zero,
    `context` the window in tokens, `eos_id` -1 where the tokenizer has no end-of-text token; `model_file` is relative
    to the bundle ("." where the runtime is given a folder). `stop_ids` end a text besides it, `beginning_id` stands in
    front of every text, where the model was made elsewhere.
    """

    # "model_" is a prefix that Pydantic keeps for itself unless told otherwise.
    model_config = ConfigDict(protected_namespaces=())

    format: ExportFormat
    quantization: Quantization
    scheme: str
    pruning: float = Field(0.0, ge=0, lt=1)
    family: Literal["transformer", "lstm", "gru"]
    parameters: int = Field(ge=1)
    context: int = Field(ge=1)
    vocab_size: int = Field(ge=1)
    eos_id: int = Field(ge=-1)
    stop_ids: list[int] = Field(default_factory=list)
    beginning_id: int | None = None
    model_file: str
    runtime: RuntimeName
    golden: list[GoldenPrompt] = Field(default_factory=list)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, every file of it proven."""

    directory: Path
    facts: BundleFacts
    manifest: Manifest

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's folder."""
        return self.directory / TOKENIZER_FOLDER


def is_bundle(directory: Path) -> bool:
    """Whether `directory` says that it is a bundle."""
    return (directory / BUNDLE_NAME).is_file()


def open_bundle(directory: Path) -> Bundle:
    """Prove every file of the bundle in `directory` and read what it is.

    Raises DataError: DATASET_NOT_FOUND where there is none, CORRUPTION for a file that is missing, cut or changed.
    """
    manifest = verify(directory, BUNDLE_KIND)
    facts = read_facts(directory)
    inside = (directory / facts.model_file).resolve()
    if not inside.is_relative_to(directory.resolve()) or not inside.exists():
        raise corrupt(directory, f"{BUNDLE_NAME} names the model file {facts.model_file!r}, which is not in it")
    return Bundle(directory, facts, manifest)


def read_facts(directory: Path) -> BundleFacts:
    """What bundle.json says, nothing proven; DataError(CORRUPTION) when it cannot be read."""
    try:
        return BundleFacts.model_validate_json((directory / BUNDLE_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{BUNDLE_NAME} cannot be read as the facts of a bundle") from error


def write_facts(directory: Path, facts: BundleFacts) -> None:
    """Write bundle.json; ResourceError when the file system refuses."""
    write_text(directory / BUNDLE_NAME, facts.model_dump_json(indent=2) + "\n")
