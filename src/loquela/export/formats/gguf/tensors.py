"""Our parameters → llama.cpp's tensors, under its names and in its order of a head's numbers.

Shapes: V vocabulary, D width, H heads, K key-value heads, d numbers of a head, F inner width, C context.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from loquela.export.formats.gguf.architectures import GPT2, Architecture
from loquela.models.config import TransformerConfig

Array: TypeAlias = NDArray[np.float32]
Arrays: TypeAlias = dict[str, Array]

# Parts of a block that have one name here and one there, weights and biases alike.
SAME = {
    "attention_norm": "attn_norm",
    "attention.out": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.down": "ffn_down",
}
HEAD_NORMS = {"attention.query_norm": "attn_q_norm", "attention.key_norm": "attn_k_norm"}


def gguf_tensors(config: TransformerConfig, architecture: Architecture, state: Arrays) -> Arrays:
    """llama.cpp's tensors of a network whose parameters are `state`.

    gpt2 has a bias everywhere: one that the network lacks is written as zeros, which is the same arithmetic.
    """
    tensors: Arrays = {"token_embd.weight": state["token_embedding"]}
    if config.positions == "learned":
        tensors["position_embd.weight"] = state["position_embedding"]
    if config.rotary_divisors is not None:
        tensors["rope_freqs.weight"] = np.array(config.rotary_divisors, np.float32)
    for index in range(config.num_layers):
        ours, theirs = f"blocks.{index}.", f"blk.{index}."
        for part, name in (SAME | (HEAD_NORMS if config.qk_norm else {})).items():
            tensors |= _both(state, ours + part, theirs + name)
        tensors |= _attention(config, architecture, state, ours, theirs)
        tensors |= _feed_forward(config, state, ours, theirs)
    tensors |= _both(state, "final_norm", "output_norm")
    if not config.tie_embeddings:
        tensors["output.weight"] = state["head"]
    return tensors | (_zero_biases(tensors) if architecture is GPT2 and not config.bias else {})


def _both(state: Arrays, ours: str, theirs: str) -> Arrays:
    return {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for kind in ("weight", "bias") if f"{ours}.{kind}" in state}


def _attention(config: TransformerConfig, architecture: Architecture, state: Arrays, ours: str, theirs: str) -> Arrays:
    fused = _both(state, f"{ours}attention.qkv", f"{theirs}attn_qkv")
    if architecture is GPT2:
        return fused
    widths = [config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim]
    tensors: Arrays = {}
    for name, array in fused.items():
        kind = name.rpartition(".")[2]
        queries, keys, values = np.split(array, [widths[0], sum(widths)])
        if architecture.interleaved:
            queries, keys = interleave(queries, config.num_heads), interleave(keys, config.num_kv_heads)
        tensors |= {
            f"{theirs}attn_{part}.{kind}": rows for part, rows in zip("qkv", (queries, keys, values), strict=True)
        }
    return tensors


def _feed_forward(config: TransformerConfig, state: Arrays, ours: str, theirs: str) -> Arrays:
    if config.activation != "swiglu":
        return _both(state, f"{ours}feed_forward.up", f"{theirs}ffn_up")
    tensors: Arrays = {}
    for name, array in _both(state, f"{ours}feed_forward.up", "up").items():
        kind = name.rpartition(".")[2]
        gate, value = np.split(array, 2)
        tensors |= {f"{theirs}ffn_gate.{kind}": gate, f"{theirs}ffn_up.{kind}": value}
    return tensors


def interleave(rows: Array, heads: int) -> Array:
    """Rows (or a bias) of `heads` heads from the order (first half, second half) to pairs (i, i + d/2) side by side."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


def _zero_biases(tensors: Arrays) -> Arrays:
    zeros: Arrays = {}
    for name, array in tensors.items():
        bias = name.replace(".weight", ".bias")
        if bias not in tensors and name.partition(".")[0] in ("blk", "output_norm"):
            zeros[bias] = np.zeros(array.shape[0], np.float32)
    return zeros
