"""How weights lie in the graph: as they are, or in blocks of 4- or 8-bit numbers."""

from __future__ import annotations

from typing import Protocol

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from loquela.export.blocks import BLOCK, in_blocks
from loquela.export.formats.onnx.graph import CONTRIBUTED, FLOAT, Graph

Floats = NDArray[np.float32]
# The products take activations in blocks of 8-bit numbers, as llama.cpp does; 0 would widen the weights first.
ACTIVATION_ACCURACY = 4


class Weights(Protocol):
    """One way to store matrices. The same name twice is the same matrix: a tied head."""

    scheme: str

    def embed(self, graph: Graph, ids: str, name: str, table: Floats) -> str:
        """Rows `ids` of `table` [V, D]."""

    def linear(self, graph: Graph, x: str, name: str, weight: Floats, bias: Floats | None) -> str:
        """x [..., K] · weight [M, K]ᵀ + bias [M]."""

    def widened(self, graph: Graph, name: str, weight: Floats) -> str:
        """`weight` [M, K] in float32, for operators that take no blocks; computed once, when the file is opened."""


class FullWeights:
    """Float32."""

    scheme = "float32"

    def embed(self, graph: Graph, ids: str, name: str, table: Floats) -> str:
        """One Gather."""
        return graph.add("Gather", graph.constant(name, table), ids)

    def linear(self, graph: Graph, x: str, name: str, weight: Floats, bias: Floats | None) -> str:
        """One MatMul; a table that is there already is turned instead of stored twice."""
        if graph.has(name):
            matrix = graph.add("Transpose", name, name=f"{name}.turned")
        else:
            matrix = graph.constant(f"{name}.turned", weight.T)
        return _biased(graph, graph.add("MatMul", x, matrix), name, bias)

    def widened(self, graph: Graph, name: str, weight: Floats) -> str:
        """As it is."""
        return graph.constant(name, weight)


class BlockWeights:
    """Blocks of 32 with a scale each; norms, biases and position tables stay float32."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.scheme = f"weight-only {bits} bit, groups of {BLOCK}"

    def embed(self, graph: Graph, ids: str, name: str, table: Floats) -> str:
        """One GatherBlockQuantized, and a Slice where the width is no multiple of 32."""
        codes, scales = self._store(graph, name, table)
        flat = graph.add("Reshape", codes, graph.integers(len(table), -1))
        rows = graph.add(
            "GatherBlockQuantized",
            flat,
            ids,
            scales,
            domain=CONTRIBUTED,
            bits=self.bits,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )
        width = table.shape[1]
        if width % BLOCK == 0:
            return rows
        return graph.add("Slice", rows, graph.integers(0), graph.integers(width), graph.integers(-1))

    def linear(self, graph: Graph, x: str, name: str, weight: Floats, bias: Floats | None) -> str:
        """One MatMulNBits."""
        codes, scales = self._store(graph, name, weight)
        product = graph.add(
            "MatMulNBits",
            x,
            codes,
            scales,
            domain=CONTRIBUTED,
            K=weight.shape[1],
            N=weight.shape[0],
            bits=self.bits,
            block_size=BLOCK,
            accuracy_level=ACTIVATION_ACCURACY,
        )
        return _biased(graph, product, name, bias)

    def widened(self, graph: Graph, name: str, weight: Floats) -> str:
        """(code - half) · scale, by ordinary operators on constants, which ONNX Runtime computes while it opens."""
        blocks = in_blocks(weight, self.bits)
        centred = blocks.codes.astype(np.int16) - 2 ** (self.bits - 1)
        codes = graph.constant(f"{name}.codes", centred.astype(ml_dtypes.int4 if self.bits == 4 else np.int8))
        scales = graph.constant(f"{name}.scales", blocks.scales[..., None])
        wide = graph.add("Mul", graph.add("Cast", codes, to=FLOAT), scales)
        flat = graph.add("Reshape", wide, graph.integers(len(weight), -1))
        return graph.add("Slice", flat, graph.integers(0), graph.integers(weight.shape[1]), graph.integers(-1))

    def _store(self, graph: Graph, name: str, weight: Floats) -> tuple[str, str]:
        codes, scales = f"{name}.codes", f"{name}.scales"
        if not graph.has(codes):
            blocks = in_blocks(weight, self.bits)
            graph.constant(codes, blocks.packed)
            graph.constant(scales, blocks.scales)
        return codes, scales


def _biased(graph: Graph, product: str, name: str, bias: Floats | None) -> str:
    if bias is None:
        return product
    return graph.add("Add", product, graph.constant(f"{name}.bias", bias))
