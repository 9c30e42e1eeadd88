"""The TorchScript exporter."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from loquela.artifacts.bundle import RuntimeName
from loquela.core.atomic import write_error, write_json
from loquela.export.contract import ModelConfig, TokenizerFacts, Written, unsupported
from loquela.export.formats.torchscript.networks import StatefulGru, StatefulLstm, StatefulTransformer
from loquela.models.config import RecurrentConfig
from loquela.models.contract import LanguageModel
from loquela.models.folder import load_model
from loquela.models.recurrent import Recurrent
from loquela.models.transformer import Transformer
from loquela.recipe.export_section import ExportFormat, Quantization

MODEL_NAME = "model.pt"
STATE_NAME = "state.json"
# Lengths that no model has by chance: what tracing bakes in by mistake would show at once in the measurements.
EXAMPLE_ROWS, EXAMPLE_TOKENS, EXAMPLE_PAST = 2, 3, 5


class TorchScriptExporter:
    """Every network of ours, in float32 and with 8-bit matrices."""

    format: ExportFormat = "torchscript"
    runtime: RuntimeName = "torchscript"

    def check(self, config: ModelConfig, tokenizer: TokenizerFacts, quantization: Quantization) -> None:
        """RecipeError(UNSUPPORTED_FORMAT) for int4."""
        if quantization == "int4":
            raise unsupported(
                "torchscript with int4",
                "PyTorch has no 4-bit product for CPUs that a TorchScript file could hold",
                "export it with --quantize int8, or choose --format onnx or gguf",
            )

    def write(self, model_folder: Path, tokenizer_folder: Path, output: Path, quantization: Quantization) -> Written:
        """Trace the network and write model.pt."""
        model = load_model(model_folder)
        network, example = stateful(model)
        scheme = "float32"
        with warnings.catch_warnings():
            # Tracing and quantisation are in maintenance in PyTorch, and say so at every call.
            warnings.simplefilter("ignore")
            if quantization == "int8":
                from loquela.export.formats.torchscript.quantize import SCHEME, in_eight_bits

                in_eight_bits(network)
                scheme = SCHEME
            with torch.inference_mode():
                traced = torch.jit.trace(network.eval(), example, check_trace=False)
            try:
                traced.save(str(output / MODEL_NAME))
                write_json(output / STATE_NAME, empty_shapes(model.config))
            except OSError as error:
                raise write_error(error, output / MODEL_NAME) from error
        return Written(MODEL_NAME, scheme)


def stateful(model: LanguageModel) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """`model` with its state as argument, and arguments to trace it with."""
    tokens = torch.zeros(EXAMPLE_ROWS, EXAMPLE_TOKENS, dtype=torch.int64)
    if isinstance(model, Transformer):
        shape = model.config
        past = torch.zeros(shape.num_layers, EXAMPLE_ROWS, shape.num_kv_heads, EXAMPLE_PAST, shape.head_dim)
        return StatefulTransformer(model), (tokens, past, past.clone())
    if isinstance(model, Recurrent):
        state = torch.zeros(model.config.num_layers, EXAMPLE_ROWS, model.config.d_model)
        if model.config.family == "lstm":
            return StatefulLstm(model), (tokens, state, state.clone())
        return StatefulGru(model), (tokens, state)
    raise unsupported(
        f"a {type(model).__name__}",
        "only transformers, LSTM and GRU have a traced form",
        "export it with --format safetensors",
    )


def empty_shapes(config: ModelConfig) -> list[JsonValue]:
    """Shapes of the state before the first token of one row."""
    if isinstance(config, RecurrentConfig):
        return [[config.num_layers, 1, config.d_model]] * (2 if config.family == "lstm" else 1)
    return [[config.num_layers, 1, config.num_kv_heads, 0, config.head_dim]] * 2
