"""What lies in safetensors files, by their headers alone: names, types, shapes; proven against the file's size.

8 bytes: length of the header, little endian │ header: JSON │ data, without gaps
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode
from loquela.models.pretrained.failures import unusable

# The format's own limit for a header.
MAX_HEADER_BYTES = 100_000_000
BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}
FLOATING = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class TensorHeader:
    """Type and shape of one tensor, as its file says."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def read_headers(path: Path) -> dict[str, TensorHeader]:
    """Every tensor of the file; DataError(CORRUPTION) for one that is cut or whose header cannot be true."""
    total = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if total < 8 or length > min(total - 8, MAX_HEADER_BYTES):
            raise _corrupt(path, f"its header would have {length:,} bytes, the file has {total:,}")
        raw = stream.read(length)
    try:
        header: JsonValue = json.loads(raw, object_pairs_hook=_each_once)
    except _Twice as error:
        raise _corrupt(path, f"its header names {error} twice: two readers would read two things") from error
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _corrupt(path, "its header is not a JSON object")
    header.pop("__metadata__", None)
    found = {}
    spans = []
    for name, entry in header.items():
        found[name], span = _tensor(path, name, entry)
        spans.append((*span, name))
    _check_spans(path, sorted(spans), total - 8 - length)
    return found


class _Twice(ValueError):
    """A name that stands twice in one object; JSON's readers take the first or the last, as they please."""


def _each_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)))
    return found


def _tensor(path: Path, name: str, entry: JsonValue) -> tuple[TensorHeader, tuple[int, int]]:
    if not isinstance(entry, dict):
        raise _corrupt(path, f"the header's entry {name!r} is not an object")
    dtype, shape, offsets = entry.get("dtype"), _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _corrupt(path, f"{name} has the unknown type {dtype!r}")
    if shape is None or offsets is None or len(offsets) != 2:
        raise _corrupt(path, f"{name} has no usable shape or place")
    tensor = TensorHeader(dtype, tuple(shape))
    if tensor.size * BITS[dtype] // 8 != offsets[1] - offsets[0]:
        raise _corrupt(path, f"{name} of shape {shape} and type {dtype} cannot have {offsets[1] - offsets[0]:,} bytes")
    return tensor, (offsets[0], offsets[1])


def _counts(value: JsonValue) -> list[int] | None:
    if not isinstance(value, list):
        return None
    numbers = [number for number in value if isinstance(number, int) and not isinstance(number, bool) and number >= 0]
    return numbers if len(numbers) == len(value) else None


def _check_spans(path: Path, spans: list[tuple[int, int, str]], size: int) -> None:
    position = 0
    for start, end, name in spans:
        if start != position:
            raise _corrupt(path, f"{name} begins at byte {start:,} of the data where {position:,} was expected")
        position = end
    if position != size:
        raise _corrupt(path, f"its tensors need {position:,} bytes of data, it has {size:,}: it is cut or changed")


def _corrupt(path: Path, what: str) -> Exception:
    return unusable(path, what, "fetch the file again", ErrorCode.CORRUPTION)
