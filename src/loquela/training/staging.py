"""Copies of tensors in host memory, and their way into a safetensors file.

Staging buffers are kept between checkpoints: fresh memory costs a page fault per 4 KiB, which for gigabytes is
most of the time. The file is written straight from them, without a second copy in memory.

File format (safetensors): uint64 LE header length, JSON header {name: {dtype, shape, data_offsets}}, raw data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Staging:
    """Reusable host buffers, pinned where the tensors come from a CUDA device."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def reserve(self, tensors: Mapping[str, Tensor]) -> None:
        """Make and touch the buffers that `copy` of these tensors will need."""
        for name, tensor in tensors.items():
            if not self._fits(name, tensor):
                self._buffers[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda).zero_()

    def copy(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of `tensors`, complete when this returns and valid until the next call."""
        kept: dict[str, Tensor] = {}
        on_cuda = False
        for name, tensor in tensors.items():
            if not self._fits(name, tensor):
                self._buffers[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            buffer = self._buffers[name]
            buffer.copy_(tensor, non_blocking=tensor.is_cuda)
            on_cuda = on_cuda or tensor.is_cuda
            kept[name] = buffer
        if on_cuda:
            torch.cuda.synchronize()
        self._buffers = dict(kept)
        return kept

    def _fits(self, name: str, tensor: Tensor) -> bool:
        buffer = self._buffers.get(name)
        return buffer is not None and buffer.shape == tensor.shape and buffer.dtype == tensor.dtype


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first floating-point tensor with a NaN or infinity in it, None when there is none."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write contiguous host tensors to `path`; OSError as the system gives it. The caller makes it durable."""
    # Wide types first, so that every tensor starts at a multiple of its element size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, dict[str, object]] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in names:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            raw = tensors[name].contiguous().reshape(-1).view(torch.uint8)
            stream.write(raw.numpy().data)
