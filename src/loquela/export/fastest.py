"""The format that a model is served fastest in, where nobody asked for one.

By benchmarks/inference.py, in 8 bits: llama.cpp, then ONNX Runtime; docs/benchmarks.md has the numbers.
"""

from __future__ import annotations

from loquela.artifacts.adapter import is_adapter
from loquela.core.errors import ErrorCode, RecipeError
from loquela.export.contract import TokenizerFacts
from loquela.export.opening import refuse_other_networks
from loquela.export.registry import EXPORTERS
from loquela.export.source import ModelSource
from loquela.models.folder import read_config
from loquela.models.pretrained.adapted import base_of
from loquela.recipe.export_section import ExportFormat, Quantization
from loquela.tokenizers.contract import JSON_NAME, MODEL_NAME
from loquela.tokenizers.load import load_tokenizer

FASTEST: tuple[ExportFormat, ...] = ("gguf", "onnx")


def fastest_format(source: ModelSource, quantization: Quantization) -> ExportFormat:
    """The first of FASTEST that can hold the network and the tokenizer of `source`.

    Raises DataError as loading them, RecipeError(UNSUPPORTED_FORMAT) for a network that none holds,
    ResourceError(MISSING_EXTRA) with the install line of the format that would do.
    """
    folder = base_of(source.model).folder if is_adapter(source.model) else source.model
    refuse_other_networks(folder)
    config = read_config(folder)
    files = [path for name in (JSON_NAME, MODEL_NAME) if (path := source.tokenizer / name).is_file()]
    tokenizer = TokenizerFacts(load_tokenizer(source.tokenizer).method, "", files[0] if files else None)
    for form in FASTEST[:-1]:
        try:
            EXPORTERS.get(form).check(config, tokenizer, quantization)
        except RecipeError as error:
            if error.code != ErrorCode.UNSUPPORTED_FORMAT:
                raise
        else:
            return form
    return FASTEST[-1]
