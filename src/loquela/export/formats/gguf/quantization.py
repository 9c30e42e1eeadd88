"""How each tensor is stored: GGML's block formats, of which `gguf` has NumPy encoders.

    none   F32            as trained
    int8   Q8_0           8 bits, one half-precision scale for 32 numbers of a row
    int4   Q4_0           4 bits, one half-precision scale for 32 numbers of a row; embeddings and head as Q8_0

Vectors (norms, biases) and learned positions stay F32. A matrix whose rows are no multiple of 32 is stored as F16.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType
from gguf.quants import quantize
from numpy.typing import NDArray

from loquela.artifacts.bundle import Quantization
from loquela.export.formats.gguf.tensors import Array, Arrays

Stored: TypeAlias = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8]

BLOCK = 32
"""Numbers that share a scale in Q8_0 and Q4_0."""

FILE_TYPES = {
    "none": LlamaFileType.ALL_F32,
    "int8": LlamaFileType.MOSTLY_Q8_0,
    "int4": LlamaFileType.MOSTLY_Q4_0,
}
SCHEMES = {"none": "f32", "int8": "q8_0", "int4": "q4_0, embeddings and head q8_0"}
OUTSIDE_BLOCKS = ("token_embd.weight", "output.weight")


def storage_type(name: str, array: Array, quantization: Quantization) -> GGMLQuantizationType:
    """How the tensor called `name` is stored."""
    if quantization == "none" or array.ndim < 2 or name == "position_embd.weight":
        return GGMLQuantizationType.F32
    if array.shape[1] % BLOCK:
        return GGMLQuantizationType.F16
    if quantization == "int8" or name in OUTSIDE_BLOCKS:
        return GGMLQuantizationType.Q8_0
    return GGMLQuantizationType.Q4_0


def scheme(tensors: Arrays, quantization: Quantization) -> str:
    """The scheme in words, with the number of matrices that it could not hold."""
    kinds = [storage_type(name, array, quantization) for name, array in tensors.items()]
    odd = kinds.count(GGMLQuantizationType.F16)
    return SCHEMES[quantization] + (f"; f16 for {odd} matrices with rows that 32 does not divide" if odd else "")


def stored(array: Array, kind: GGMLQuantizationType) -> Stored:
    """`array` in the bytes of `kind`."""
    if kind == GGMLQuantizationType.F32:
        return np.ascontiguousarray(array)
    if kind == GGMLQuantizationType.F16:
        return array.astype(np.float16)
    blocks: NDArray[np.uint8] = quantize(np.ascontiguousarray(array), kind)
    return blocks
