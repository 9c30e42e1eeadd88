"""LSTM and GRU as a graph whose state comes in and goes out.

tokens [batch, length], hidden [L, batch, D] (and cell, for an LSTM), first_logit [1]
  ─▶ logits [batch, rows, V], hidden_after (and cell_after)
"""

from __future__ import annotations

import numpy as np

from loquela.export.formats.onnx.graph import Graph, Shape
from loquela.export.formats.onnx.transformer import END, State
from loquela.export.formats.onnx.weights import Floats, Weights
from loquela.models.config import RecurrentConfig

# PyTorch's order of gates → ONNX's: input, forget, cell, output → i, o, f, c; reset, update, new → z, r, h.
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}


def recurrent_graph(config: RecurrentConfig, state: State, weights: Weights) -> Graph:
    """The whole graph."""
    graph = Graph()
    tokens = graph.input("tokens", "int64", ["batch", "length"])
    kinds = ("hidden", "cell") if config.family == "lstm" else ("hidden",)
    shape: Shape = [config.num_layers, "batch", config.d_model]
    before = {kind: _apart(graph, graph.input(kind, "float", shape), config.num_layers) for kind in kinds}
    embedded = weights.embed(graph, tokens, "token_embedding", state["token_embedding"])
    x = _transposed(graph, embedded)
    after: dict[str, list[str]] = {kind: [] for kind in kinds}
    for index in range(config.num_layers):
        x, *states = _layer(graph, x, index, config, state, weights, [before[kind][index] for kind in kinds])
        for kind, found in zip(kinds, states, strict=True):
            after[kind].append(found)
    for kind in kinds:
        graph.add("Concat", *after[kind], name=f"{kind}_after", axis=0)
        graph.output(f"{kind}_after", "float", shape)
    first = graph.input("first_logit", "int64", [1])
    graph.constant(first, np.zeros(1, dtype=np.int64))
    rows = graph.add("Slice", _transposed(graph, x), first, graph.integers(END), graph.integers(1))
    head = "token_embedding" if config.tie_embeddings else "head"
    graph.add("Identity", weights.linear(graph, rows, head, state[head], None), name="logits")
    graph.output("logits", "float", ["batch", "rows", config.vocab_size])
    return graph


def _layer(
    graph: Graph,
    x: str,
    index: int,
    config: RecurrentConfig,
    state: State,
    weights: Weights,
    states: list[str],
) -> list[str]:
    """One layer: [T, B, D] and its states [1, B, D] → the same shapes after it."""
    inputs = [x]
    for kind in ("weight_ih", "weight_hh"):
        matrix = _in_order(state[f"layers.{kind}_l{index}"], config)
        wide = weights.widened(graph, f"layers.{kind}_l{index}", matrix)
        inputs.append(graph.add("Unsqueeze", wide, graph.integers(0)))
    bias = ""
    if config.bias:
        both = [_in_order(state[f"layers.{kind}_l{index}"], config) for kind in ("bias_ih", "bias_hh")]
        bias = graph.constant(f"layers.bias_l{index}", np.concatenate(both)[None])
    # PyTorch's GRU applies the reset gate after the recurrent product and its bias.
    attributes = {"hidden_size": config.d_model} | ({"linear_before_reset": 1} if config.family == "gru" else {})
    outputs, *after = graph.add_many(
        config.family.upper(), (*inputs, bias, "", *states), 1 + len(states), attributes=attributes
    )
    return [graph.add("Squeeze", outputs, graph.integers(1)), *after]


def _in_order(stacked: Floats, config: RecurrentConfig) -> Floats:
    """Gates in ONNX's order."""
    order = GATES[config.family]
    gates = np.split(stacked, len(order))
    ordered: Floats = np.concatenate([gates[gate] for gate in order])
    return ordered


def _apart(graph: Graph, stacked: str, count: int) -> list[str]:
    """The states of the layers, one [1, B, D] each."""
    return graph.add_many("Split", (stacked,), count, attributes={"axis": 0, "num_outputs": count})


def _transposed(graph: Graph, x: str) -> str:
    """Rows and time change places: [B, T, D] ↔ [T, B, D]."""
    return graph.add("Transpose", x, perm=[1, 0, 2])
