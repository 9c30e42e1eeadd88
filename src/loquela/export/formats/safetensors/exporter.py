"""The safetensors exporter: the Hugging Face folder that training writes, as a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from loquela.artifacts.bundle import RuntimeName
from loquela.core.atomic import write_error
from loquela.export.contract import ModelConfig, TokenizerFacts, Written, unsupported
from loquela.export.tokenizer_files import copy_tokenizer
from loquela.models.folder import CONFIG_NAME
from loquela.recipe.export_section import ExportFormat, Quantization

MODEL_FOLDER = "model"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", CONFIG_NAME, "generation_config.json", "README.md")


class SafetensorsExporter:
    """Weights in the type that they have in the model's folder; tokenizer files beside them, as transformers looks."""

    format: ExportFormat = "safetensors"
    runtime: RuntimeName = "torch"

    def check(self, config: ModelConfig, tokenizer: TokenizerFacts, quantization: Quantization) -> None:
        """RecipeError(UNSUPPORTED_FORMAT) for any quantisation."""
        if quantization != "none":
            raise unsupported(
                f"safetensors with {quantization}",
                "a folder of safetensors has no quantised form that transformers reads without a further library, "
                "and each of those has a form of its own",
                "export it with --quantize none, or choose --format onnx or gguf",
            )

    def write(self, model_folder: Path, tokenizer_folder: Path, output: Path, quantization: Quantization) -> Written:
        """Copy the folder to `model/`."""
        place = output / MODEL_FOLDER
        try:
            copy_tokenizer(tokenizer_folder, place)
            for pattern in WEIGHTS:
                for path in sorted(model_folder.glob(pattern)):
                    shutil.copyfile(path, place / path.name)
        except OSError as error:
            raise write_error(error, place) from error
        return Written(MODEL_FOLDER, "as trained, float32")
