"""A GGUF file read: metadata as plain values, tensors as numbers. A thin typed adapter around the library `gguf`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loquela.core.errors import ErrorCode
from loquela.core.extras import require
from loquela.models.pretrained.failures import unusable

Value = str | int | float | bool | list[str] | list[int] | list[float]
FULL_PRECISION = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class _Field(Protocol):
    def contents(self) -> Value: ...


class _Kind(Protocol):
    name: str


class _Tensor(Protocol):
    name: str
    shape: NDArray[np.uint64]
    tensor_type: _Kind
    data: NDArray[np.uint8]


class GgufTensor:
    """One tensor; `shape` in the order of torch, `values` dequantised only when they are asked for."""

    def __init__(self, stored: _Tensor) -> None:
        self._stored = stored
        self.name = stored.name
        self.kind = stored.tensor_type.name
        self.shape = tuple(int(size) for size in reversed(stored.shape.tolist()))
        self.dtype = FULL_PRECISION.get(self.kind, torch.float32)

    @property
    def size_bytes(self) -> int:
        """Bytes of `values`."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def values(self) -> Tensor:
        """The numbers: as stored in full precision, in float32 where they are quantised."""
        data = np.ascontiguousarray(self._stored.data)
        if self.kind == "BF16":
            return torch.from_numpy(data.view(np.int16).copy()).view(torch.bfloat16).reshape(self.shape)
        if self.kind in FULL_PRECISION:
            return torch.from_numpy(data.copy()).reshape(self.shape)
        quants = require("gguf.quants", extra="finetune", purpose="reading a GGUF file")
        numbers: NDArray[np.float32] = quants.dequantize(data, self._stored.tensor_type)
        return torch.from_numpy(numbers).reshape(self.shape)


class GgufFile:
    """Metadata by key, tensors by name."""

    def __init__(self, path: Path) -> None:
        """Raises DataError(CORRUPTION) for a file that is cut or no GGUF file, ResourceError(MISSING_EXTRA)."""
        library = require("gguf", extra="finetune", purpose="reading a GGUF file")
        self.path = path
        try:
            reader = library.GGUFReader(path)
            fields: dict[str, _Field] = dict(reader.fields)
            self.metadata: dict[str, Value] = {key: field.contents() for key, field in fields.items()}
            stored: list[_Tensor] = list(reader.tensors)
            self.tensors = {tensor.name: GgufTensor(tensor) for tensor in stored}
        except (ValueError, IndexError, KeyError, OSError, OverflowError, TypeError, UnicodeError) as error:
            raise unusable(
                path, f"it is cut, damaged, or no GGUF file: {error}", "fetch the file again", ErrorCode.CORRUPTION
            ) from error

    def text(self, key: str) -> str | None:
        """A string of the metadata."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """A whole number of the metadata."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def real(self, key: str) -> float | None:
        """A number of the metadata, as the shortest decimal that is the same in single precision."""
        value = self.metadata.get(key)
        return float(str(np.float32(value))) if isinstance(value, float) else None

    def flag(self, key: str) -> bool:
        """A yes or no of the metadata; no where it is not said."""
        return self.metadata.get(key) is True

    def texts(self, key: str) -> list[str]:
        """A list of strings; empty where there is none."""
        value = self.metadata.get(key)
        return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []

    def numbers(self, key: str) -> list[int]:
        """A list of whole numbers; empty where there is none."""
        value = self.metadata.get(key)
        return [entry for entry in value if isinstance(entry, int)] if isinstance(value, list) else []

    def names(self) -> Iterator[str]:
        """Names of the tensors, in the file's order."""
        return iter(self.tensors)
