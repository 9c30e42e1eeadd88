"""Metadata, vocabulary and tensors → one GGUF file, whole or absent."""

from __future__ import annotations

from pathlib import Path

from gguf import GGUFWriter, LlamaFileType

from loquela.artifacts.bundle import Quantization
from loquela.core.atomic import atomic_path
from loquela.export.formats.gguf.architectures import Architecture
from loquela.export.formats.gguf.quantization import FILE_TYPES, storage_type, stored
from loquela.export.formats.gguf.tensors import Arrays
from loquela.export.formats.gguf.vocabulary_contract import Vocabulary
from loquela.models.config import TransformerConfig

QUANTIZATION_VERSION = 2
"""GGML's version of its block formats (GGML_QNT_VERSION)."""


def write_gguf(
    path: Path,
    config: TransformerConfig,
    architecture: Architecture,
    vocabulary: Vocabulary,
    tensors: Arrays,
    quantization: Quantization,
) -> None:
    """Write the file; ResourceError when the file system refuses."""
    with atomic_path(path) as temporary:
        writer = GGUFWriter(temporary, architecture.name)
        try:
            writer.add_file_type(FILE_TYPES[quantization])
            if FILE_TYPES[quantization] != LlamaFileType.ALL_F32:
                writer.add_quantization_version(QUANTIZATION_VERSION)
            _add_shape(writer, config)
            _add_vocabulary(writer, vocabulary)
            for name, array in tensors.items():
                kind = storage_type(name, array, quantization)
                writer.add_tensor(name, stored(array, kind), raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def _add_shape(writer: GGUFWriter, config: TransformerConfig) -> None:
    writer.add_context_length(config.max_sequence_length)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.dim_feedforward)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_vocab_size(config.vocab_size)
    if config.norm == "rmsnorm":
        writer.add_layer_norm_rms_eps(config.norm_epsilon)
    else:
        writer.add_layer_norm_eps(config.norm_epsilon)
    if config.positions == "rotary":
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rotary_base)
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)


def _add_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    """No token is added to a text unasked: our tokenizers add none."""
    writer.add_tokenizer_model(vocabulary.model)
    if vocabulary.pre is not None:
        writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([int(kind) for kind in vocabulary.kinds])
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)
    roles = vocabulary.roles
    adders = (
        ("pad_token", writer.add_pad_token_id),
        ("unk_token", writer.add_unk_token_id),
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
    )
    for role, add in adders:
        if role in roles:
            add(roles[role])
