"""What a format must do to be exported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loquela.artifacts.bundle import RuntimeName
from loquela.core.errors import ErrorCode, RecipeError
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.recipe.export_section import ExportFormat, Quantization

ModelConfig = TransformerConfig | RecurrentConfig


@dataclass(frozen=True)
class TokenizerFacts:
    """What is known of a tokenizer before it is trained: its method, and the algorithm inside a SentencePiece model.

    `file` is the tokenizer.json or .model that is brought along instead of training one.
    """

    method: str
    model_type: str
    file: Path | None = None


@dataclass(frozen=True)
class Written:
    """What an exporter wrote: the file that the runtime is given ("." for the folder), and its scheme in words."""

    model_file: str
    scheme: str


class Exporter(Protocol):
    """One format. Factories of these are registered in the entry-point group `loquela.exporters`."""

    format: ExportFormat
    runtime: RuntimeName

    def check(self, config: ModelConfig, tokenizer: TokenizerFacts, quantization: Quantization) -> None:
        """RecipeError(UNSUPPORTED_FORMAT) with the reason when this model cannot be exported; needs no weights."""

    def write(self, model_folder: Path, tokenizer_folder: Path, output: Path, quantization: Quantization) -> Written:
        """Write the model's files into the empty folder `output`.

        Raises DataError for a model that cannot be loaded, RecipeError(UNSUPPORTED_FORMAT) as `check`,
        ResourceError when a package is missing or the file system refuses.
        """


def unsupported(what: str, why: str, remedy: str) -> RecipeError:
    """The error for a combination that a format cannot hold."""
    return RecipeError(ErrorCode.UNSUPPORTED_FORMAT, f"{what} cannot be exported: {why}", remedy)
