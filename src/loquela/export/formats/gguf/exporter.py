"""Model folder and tokenizer folder → model.gguf and Ollama's Modelfile."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.bundle import ExportFormat, Quantization, RuntimeName
from loquela.core.atomic import write_text
from loquela.core.extras import require
from loquela.export.contract import ModelConfig, TokenizerFacts, Written
from loquela.export.formats.gguf.architectures import architecture_of, transformer_of
from loquela.export.formats.gguf.modelfile import MODELFILE_NAME, modelfile, stop_texts
from loquela.export.formats.gguf.tensors import gguf_tensors
from loquela.export.formats.gguf.turns import find_turns
from loquela.export.formats.gguf.vocabulary import check_tokenizer, read_vocabulary
from loquela.export.formats.gguf.vocabulary_contract import Vocabulary
from loquela.inference.runtimes.llama_library import llama_library
from loquela.models.config import TransformerConfig
from loquela.models.folder import load_model
from loquela.tokenizers.template_file import FoundTemplate, find_template

MODEL_NAME = "model.gguf"


class GgufExporter:
    """For llama.cpp, Ollama and what is built on them."""

    format: ExportFormat = "gguf"
    runtime: RuntimeName = "llama.cpp"

    def check(self, config: ModelConfig, tokenizer: TokenizerFacts, quantization: Quantization) -> None:
        """RecipeError(UNSUPPORTED_FORMAT) for a network or tokenizer that llama.cpp does not compute exactly.

        Raises ResourceError(MISSING_EXTRA) too: the export is measured with llama.cpp before it is published.
        """
        architecture_of(transformer_of(config))
        check_tokenizer(tokenizer)
        require("gguf", extra="export", purpose="exporting to gguf")
        llama_library()

    def write(self, model_folder: Path, tokenizer_folder: Path, output: Path, quantization: Quantization) -> Written:
        """Write model.gguf and Modelfile; raises as the contract says, and RecipeError for a broken chat template."""
        require("gguf", extra="export", purpose="exporting to gguf")
        from loquela.export.formats.gguf.gguf_file import write_gguf
        from loquela.export.formats.gguf.quantization import scheme

        model = load_model(model_folder)
        config: TransformerConfig = transformer_of(model.config)
        architecture = architecture_of(config)
        vocabulary = read_vocabulary(tokenizer_folder).padded(config.vocab_size)
        state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
        tensors = gguf_tensors(config, architecture, state)
        template = find_template([model_folder, tokenizer_folder])
        vocabulary.chat_template = template.source if template else None
        write_gguf(output / MODEL_NAME, config, architecture, vocabulary, tensors, quantization)
        write_text(output / MODELFILE_NAME, _modelfile(config, vocabulary, template))
        return Written(MODEL_NAME, scheme(tensors, quantization))


def _modelfile(config: TransformerConfig, vocabulary: Vocabulary, template: FoundTemplate | None) -> str:
    names = {role: vocabulary.text_of(role) for role in ("bos_token", "eos_token")}
    turns = None if template is None else find_turns(template.source, template.origin, names)
    stops = stop_texts(turns, names["eos_token"])
    return modelfile(MODEL_NAME, config.max_sequence_length, turns, has_template=template is not None, stops=stops)
