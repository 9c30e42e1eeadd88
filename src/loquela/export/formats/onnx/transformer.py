"""The transformer as a graph: one for the prompt and for every step after it.

    tokens [batch, length], past_key_i and past_value_i [batch, K, past, head_dim], first_logit [1]
      ─▶ logits [batch, rows, V], present_key_i and present_value_i [batch, K, past + length, head_dim]

`first_logit` may be left out: then every token of the call has its logits; -1 gives those after the last one only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loquela.export.formats.onnx.graph import Graph, Shape
from loquela.export.formats.onnx.weights import Floats, Weights
from loquela.models.config import TransformerConfig

State = dict[str, Floats]
END = 2**31 - 1


@dataclass(frozen=True)
class _Places:
    """Names of what all blocks share: where the new tokens stand, what each may look at, the rotation's tables."""

    positions: str
    allowed: str
    rotary: tuple[str, str, str] | None


class TransformerGraph:
    """Builds the graph of one network; `build` may be called once."""

    def __init__(self, config: TransformerConfig, state: State, weights: Weights) -> None:
        self.config = config
        self.state = state
        self.weights = weights
        self.graph = Graph()

    def build(self) -> Graph:
        """The whole graph."""
        graph, config = self.graph, self.config
        tokens = graph.input("tokens", "int64", ["batch", "length"])
        shape: Shape = ["batch", config.num_kv_heads, "past", config.head_dim]
        past = [
            (graph.input(f"past_key_{i}", "float", shape), graph.input(f"past_value_{i}", "float", shape))
            for i in range(config.num_layers)
        ]
        places = self._places(tokens, past[0][0])
        x = self.weights.embed(graph, tokens, "token_embedding", self.state["token_embedding"])
        if config.positions == "learned":
            table = graph.constant("position_embedding", self.state["position_embedding"])
            x = graph.add("Add", x, graph.add("Gather", table, places.positions))
        for index in range(config.num_layers):
            x = self._block(x, index, past[index], places)
        self._logits(x)
        present: Shape = ["batch", config.num_kv_heads, "total", config.head_dim]
        for index in range(config.num_layers):
            graph.output(f"present_key_{index}", "float", present)
            graph.output(f"present_value_{index}", "float", present)
        return graph

    def _places(self, tokens: str, past: str) -> _Places:
        graph, config = self.graph, self.config
        start = graph.add("Squeeze", graph.add("Shape", past, start=2, end=3))
        length = graph.add("Squeeze", graph.add("Shape", tokens, start=1, end=2))
        end = graph.add("Add", start, length)
        zero = graph.constant("zero", np.array(0, dtype=np.int64))
        one = graph.constant("one", np.array(1, dtype=np.int64))
        positions = graph.add("Range", start, end, one)
        seen = graph.add("Unsqueeze", graph.add("Range", zero, end, one), graph.integers(0))
        allowed = graph.add("LessOrEqual", seen, graph.add("Unsqueeze", positions, graph.integers(1)))
        if config.positions == "learned":
            return _Places(positions, allowed, None)
        cosines, sines = _rotary_tables(config)
        rows = graph.add("Expand", positions, graph.add("Shape", tokens))
        rotary = (graph.constant("rotary_cosines", cosines), graph.constant("rotary_sines", sines), rows)
        return _Places(positions, allowed, rotary)

    def _block(self, x: str, index: int, past: tuple[str, str], places: _Places) -> str:
        graph, name = self.graph, f"blocks.{index}."
        mixed = self._attention(self._norm(x, f"{name}attention_norm"), index, past, places)
        x = graph.add("Add", x, mixed)
        changed = self._feed_forward(self._norm(x, f"{name}feed_forward_norm"), f"{name}feed_forward.")
        return graph.add("Add", x, changed)

    def _attention(self, x: str, index: int, past: tuple[str, str], places: _Places) -> str:
        graph, config, name = self.graph, self.config, f"blocks.{index}.attention."
        wide, narrow = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        fused = self._linear(x, f"{name}qkv")
        queries, keys, values = graph.add_many(
            "Split", (fused, graph.integers(wide, narrow, narrow)), 3, attributes={"axis": -1}
        )
        rotary = places.rotary if config.rotated(index) else None
        queries = self._placed(queries, config.num_heads, f"{name}query_norm", rotary)
        keys = self._placed(keys, config.num_kv_heads, f"{name}key_norm", rotary)
        present = ["", f"present_key_{index}", f"present_value_{index}"]
        heads = {"q_num_heads": config.num_heads, "kv_num_heads": config.num_kv_heads}
        mixed = graph.add_many(
            "Attention", (queries, keys, values, places.allowed, *past), 3, names=present, attributes=heads
        )[0]
        return self._linear(mixed, f"{name}out")

    def _placed(self, heads: str, count: int, norm: str, rotary: tuple[str, str, str] | None) -> str:
        """Queries or keys [B, T, count · head_dim], normed by head and turned by position where the network does so."""
        graph, config = self.graph, self.config
        if config.qk_norm:
            apart = graph.add("Reshape", heads, graph.integers(0, 0, count, config.head_dim))
            heads = graph.add("Reshape", self._rms_norm(apart, norm), graph.integers(0, 0, -1))
        if rotary is not None:
            heads = graph.add("RotaryEmbedding", heads, *rotary, num_heads=count)
        return heads

    def _feed_forward(self, x: str, name: str) -> str:
        graph, activation = self.graph, self.config.activation
        inner = self._linear(x, f"{name}up")
        if activation == "gelu":
            inner = graph.add("Gelu", inner, approximate="tanh")
        elif activation == "relu2":
            inner = graph.add("Relu", inner)
            inner = graph.add("Mul", inner, inner)
        else:
            gate, value = graph.add_many("Split", (inner,), 2, attributes={"axis": -1, "num_outputs": 2})
            opened = graph.add("Mul", gate, graph.add("Sigmoid", gate))
            inner = graph.add("Mul", opened, value)
        return self._linear(inner, f"{name}down")

    def _logits(self, x: str) -> None:
        graph, config = self.graph, self.config
        first = graph.input("first_logit", "int64", [1])
        graph.constant(first, np.zeros(1, dtype=np.int64))
        rows = graph.add("Slice", x, first, graph.integers(END), graph.integers(1))
        head = "token_embedding" if config.tie_embeddings else "head"
        normed = self._norm(rows, "final_norm")
        graph.add("Identity", self.weights.linear(graph, normed, head, self.state[head], None), name="logits")
        graph.output("logits", "float", ["batch", "rows", config.vocab_size])

    def _norm(self, x: str, name: str) -> str:
        if self.config.norm == "rmsnorm":
            return self._rms_norm(x, name)
        weight = self.graph.constant(f"{name}.weight", self.state[f"{name}.weight"])
        inputs = [x, weight]
        if f"{name}.bias" in self.state:
            inputs.append(self.graph.constant(f"{name}.bias", self.state[f"{name}.bias"]))
        return self.graph.add("LayerNormalization", *inputs, axis=-1, epsilon=self.config.norm_epsilon)

    def _rms_norm(self, x: str, name: str) -> str:
        weight = self.graph.constant(f"{name}.weight", self.state[f"{name}.weight"])
        return self.graph.add("RMSNormalization", x, weight, axis=-1, epsilon=self.config.norm_epsilon)

    def _linear(self, x: str, name: str) -> str:
        return self.weights.linear(self.graph, x, name, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))


def _rotary_tables(config: TransformerConfig) -> tuple[Floats, Floats]:
    """Cosines and sines [context, head_dim / 2] of the rotary positions (Su et al. 2021)."""
    pairs = np.arange(0, config.head_dim, 2, dtype=np.float32)
    turns = (np.float32(config.rotary_base) ** (-pairs / np.float32(config.head_dim))).astype(np.float32)
    if config.rotary_divisors is not None:
        slower = np.array(config.rotary_divisors, dtype=np.float32)
        turns = np.divide(turns, slower, dtype=np.float32)
    angles = np.outer(np.arange(config.max_sequence_length, dtype=np.float32), turns).astype(np.float32)
    return np.cos(angles), np.sin(angles)
