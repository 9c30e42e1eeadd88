"""The ONNX exporter."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.bundle import RuntimeName
from loquela.core.atomic import write_error
from loquela.core.extras import require
from loquela.export.contract import ModelConfig, TokenizerFacts, Written
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.folder import load_model
from loquela.recipe.export_section import ExportFormat, Quantization

MODEL_NAME = "model.onnx"
BITS = {"int8": 8, "int4": 4}


class OnnxExporter:
    """Every network of ours, in float32 and in blocks of 8 or 4 bits."""

    format: ExportFormat = "onnx"
    runtime: RuntimeName = "onnxruntime"

    def check(self, config: ModelConfig, tokenizer: TokenizerFacts, quantization: Quantization) -> None:
        """Nothing is refused, but the package must be there; ResourceError(MISSING_EXTRA)."""
        require("onnx", extra="export", purpose="exporting to ONNX")

    def write(self, model_folder: Path, tokenizer_folder: Path, output: Path, quantization: Quantization) -> Written:
        """Write model.onnx."""
        require("onnx", extra="export", purpose="exporting to ONNX")
        from loquela.export.formats.onnx.recurrent import recurrent_graph
        from loquela.export.formats.onnx.transformer import TransformerGraph
        from loquela.export.formats.onnx.weights import BlockWeights, FullWeights, Weights

        model = load_model(model_folder)
        state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
        weights: Weights = FullWeights() if quantization == "none" else BlockWeights(BITS[quantization])
        config = model.config
        if isinstance(config, TransformerConfig):
            graph = TransformerGraph(config, state, weights).build()
        else:
            graph = recurrent_graph(config, state, weights)
        try:
            graph.save(output / MODEL_NAME, {"family": config.family, "context": str(config.max_sequence_length)})
        except OSError as error:
            raise write_error(error, output / MODEL_NAME) from error
        return Written(MODEL_NAME, _scheme(config, weights.scheme, quantization))


def _scheme(config: ModelConfig, scheme: str, quantization: Quantization) -> str:
    if quantization == "none" or not isinstance(config, RecurrentConfig):
        return scheme
    return f"{scheme}; the recurrent layers are widened to float32 when the file is opened"
