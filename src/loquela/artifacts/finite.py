"""Are all numbers in a safetensors file finite? Read tensor by tensor, without a tensor library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import JsonValue

NUMPY_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
BFLOAT16 = "BF16"
BFLOAT16_EXPONENT = 0x7F80
AT_ONCE = 1 << 24


@dataclass(frozen=True)
class WeightCheck:
    """How many floating-point numbers a file holds, and which tensors have some that are not finite."""

    weights: int
    broken: list[str]


def check_finite(path: Path) -> WeightCheck:
    """Every floating-point tensor of the file; ValueError or OSError for one that is no whole safetensors file."""
    weights, broken = 0, []
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        start, size = 8 + length, path.stat().st_size
        if start > size:
            raise ValueError("its header is longer than the file")
        header: JsonValue = json.loads(stream.read(length))
        for name, dtype, first, last in _tensors(header):
            if start + last > size:
                raise ValueError(f"{name} ends after the file")
            finite = True
            for count, part in _numbers(path, dtype, start + first, start + last):
                weights += count
                finite = finite and part
            if not finite:
                broken.append(name)
    return WeightCheck(weights, sorted(broken))


def _tensors(header: JsonValue) -> Iterator[tuple[str, str, int, int]]:
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    for name, entry in header.items():
        if name == "__metadata__" or not isinstance(entry, dict):
            continue
        dtype, offsets = entry.get("dtype"), entry.get("data_offsets")
        if not isinstance(dtype, str) or not isinstance(offsets, list) or len(offsets) != 2:
            raise ValueError(f"the header's entry {name} is not that of a tensor")
        first, last = offsets
        if not isinstance(first, int) or not isinstance(last, int) or not 0 <= first <= last:
            raise ValueError(f"{name} has no usable place")
        yield name, dtype, first, last


def _numbers(path: Path, dtype: str, start: int, stop: int) -> Iterator[tuple[int, bool]]:
    """(how many, whether all are finite) of one tensor, in parts that fit into memory; nothing for whole numbers."""
    kind = "<u2" if dtype == BFLOAT16 else NUMPY_TYPES.get(dtype)
    if kind is None:
        return
    size = np.dtype(kind).itemsize
    for begin in range(start, stop, AT_ONCE * size):
        count = (min(begin + AT_ONCE * size, stop) - begin) // size
        if dtype == BFLOAT16:
            bits = np.fromfile(path, dtype=np.dtype("<u2"), count=count, offset=begin)
            yield count, not bool(((bits & BFLOAT16_EXPONENT) == BFLOAT16_EXPONENT).any())
        else:
            yield count, bool(np.isfinite(np.fromfile(path, dtype=kind, count=count, offset=begin)).all())
