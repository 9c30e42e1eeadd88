"""llama.cpp's metadata and tensor names → config.json and the names of transformers.

llama turns neighbouring numbers of a head (2i, 2i+1) where transformers turns (i, i + d/2): rows of queries and keys
are put back into that order. qwen2 and qwen3 are stored as transformers has them.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import JsonValue
from torch import Tensor

from loquela.core.errors import ErrorCode
from loquela.core.near_names import unknown_name
from loquela.models.pretrained.failures import unusable
from loquela.models.pretrained.gguf_file import GgufFile, GgufTensor
from loquela.models.pretrained.shapes import ARCHITECTURES

SUPPORTED = ("llama", "qwen2", "qwen3")
INTERLEAVED = ("llama",)
FULL_MODEL = "give the same model as a Hugging Face folder with safetensors"
OUTSIDE_BLOCKS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
IN_BLOCKS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


def config_of_file(path: Path) -> dict[str, JsonValue]:
    """`network_config` of the file at `path`."""
    return network_config(GgufFile(path))


def network_config(file: GgufFile) -> dict[str, JsonValue]:
    """config.json of the network in `file`.

    Raises DataError: UNSUPPORTED_FORMAT for what this conversion does not compute exactly, CORRUPTION for metadata
    that is missing.
    """
    kind = str(file.text("general.architecture"))
    if kind not in SUPPORTED:
        raise unusable(
            file.path, unknown_name("GGUF architecture", kind, SUPPORTED), FULL_MODEL, ErrorCode.UNSUPPORTED_FORMAT
        )
    _refuse_variants(file, kind)
    width, heads = _needed(file, f"{kind}.embedding_length"), _needed(file, f"{kind}.attention.head_count")
    config: dict[str, JsonValue] = {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "vocab_size": _embedding(file).shape[0],
        "hidden_size": width,
        "intermediate_size": _needed(file, f"{kind}.feed_forward_length"),
        "num_hidden_layers": _needed(file, f"{kind}.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.number(f"{kind}.attention.head_count_kv") or heads,
        "head_dim": file.number(f"{kind}.attention.key_length") or width // heads,
        "hidden_act": "silu",
        "max_position_embeddings": _needed(file, f"{kind}.context_length"),
        "rms_norm_eps": file.real(f"{kind}.attention.layer_norm_rms_epsilon") or 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": file.real(f"{kind}.rope.freq_base") or 10_000.0,
        },
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "dtype": "float32",
    }
    if kind == "llama":
        config["attention_bias"] = "blk.0.attn_q.bias" in file.tensors
    return config


def stock_name(file: GgufFile, name: str) -> str:
    """The name that transformers gives a tensor; DataError(UNSUPPORTED_FORMAT) for one that it has not."""
    if name in OUTSIDE_BLOCKS:
        return OUTSIDE_BLOCKS[name]
    found = BLOCK.fullmatch(name)
    if found is None or found[2] not in IN_BLOCKS:
        raise unusable(file.path, f"its tensor {name} has no place here", FULL_MODEL, ErrorCode.UNSUPPORTED_FORMAT)
    return f"model.layers.{found[1]}.{IN_BLOCKS[found[2]]}.{found[3]}"


def heads_of(file: GgufFile, name: str) -> int | None:
    """The heads whose rows lie interleaved in a tensor; None where none do."""
    kind = str(file.text("general.architecture"))
    found = BLOCK.fullmatch(name)
    if kind not in INTERLEAVED or found is None or found[2] not in ("attn_q", "attn_k"):
        return None
    heads = _needed(file, f"{kind}.attention.head_count")
    return heads if found[2] == "attn_q" else file.number(f"{kind}.attention.head_count_kv") or heads


def uninterleaved(rows: Tensor, heads: int) -> Tensor:
    """Rows (2i, 2i+1) of every head put at (i, i + d/2)."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, half, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape).contiguous()


def _refuse_variants(file: GgufFile, kind: str) -> None:
    """What the conversion would lose: experts, scaled positions, partly turned heads."""
    scaling = file.text(f"{kind}.rope.scaling.type")
    reasons = {
        "a mixture of experts": bool(file.number(f"{kind}.expert_count")),
        f"rotary positions scaled by {scaling}": scaling not in (None, "none"),
        "scaled rotary frequencies (rope_freqs)": "rope_freqs.weight" in file.tensors,
    }
    for what, there in reasons.items():
        if there:
            raise unusable(
                file.path,
                f"it has {what}, which a GGUF file does not say in full",
                FULL_MODEL,
                ErrorCode.UNSUPPORTED_FORMAT,
            )


def _embedding(file: GgufFile) -> GgufTensor:
    if "token_embd.weight" not in file.tensors:
        raise unusable(file.path, "it has no token_embd.weight", "fetch the file again", ErrorCode.CORRUPTION)
    return file.tensors["token_embd.weight"]


def _needed(file: GgufFile, key: str) -> int:
    value = file.number(key)
    if value is None or value < 1:
        raise unusable(file.path, f"its metadata has no usable {key}", "fetch the file again", ErrorCode.CORRUPTION)
    return value
