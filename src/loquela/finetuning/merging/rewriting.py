"""The base's safetensors files written again with merged matrices in them, one tensor in memory at a time.

A merged matrix has the shape and the number format that it had, so a file keeps its header, its order and its length;
what the adapter does not touch is copied byte by byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.crash_points import crash_point
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.merging.updates import Update
from loquela.models.pretrained.safetensors_headers import read_headers

SUFFIX, INDEX_SUFFIX = ".safetensors", ".safetensors.index.json"
LENGTH_BYTES = 8
COPY_BYTES = 1 << 24
FORMATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
# Networks whose matrices files name without the first part of the module's name ("h.0…" for "transformer.h.0…").
HEADLESS_PREFIXES = ("transformer.", "model.")

Replaced = Mapping[str, Callable[[], Tensor]]
"""Tensor of the files → gives its matrix in the base that is merged into, where that is not the one of the file."""


@dataclass(frozen=True)
class Rewritten:
    """What was written: tensors, merged ones among them, formats of the matrices, bytes of the weight files."""

    tensors: int
    changed: int
    number_formats: list[str]
    size_bytes: int


@dataclass(frozen=True)
class Span:
    """A tensor in its file: bytes [start, end) after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def rewrite(base: Path, names: Iterable[str], updates: list[Update], target: Path, replaced: Replaced) -> Rewritten:
    """Write the safetensors files `names` of the folder `base` to `target`, every update applied once.

    Every update's module has a tensor of its own (`unnamed` finds none). Raises DataError: SHAPE_MISMATCH for one of
    another shape, INF_DETECTED or NAN_DETECTED for a merged matrix that the number format cannot hold,
    UNSUPPORTED_FORMAT for one that nothing can be added to. OSError as the file system.
    """
    spans = {name: list(_spans(base / name)) for name in names}
    there = {span.name for held in spans.values() for span in held}
    wanted = {tensor_name(update.module, there): update for update in updates}
    formats: set[str] = set()
    changed = size = 0
    for name, held in spans.items():
        with (base / name).open("rb") as source, (target / name).open("wb") as merged:
            _copy(source, merged, _header_bytes(base / name))
            for span in held:
                if span.name not in wanted and span.name not in replaced:
                    _copy(source, merged, span.end - span.start)
                    continue
                stored = source.read(span.end - span.start)
                matrix = replaced[span.name]() if span.name in replaced else _matrix(base / name, span, stored)
                merged.write(_merged(span, matrix, wanted.get(span.name)))
                formats.add(span.dtype)
                changed += 1
        crash_point("after_tensors")
        size += (target / name).stat().st_size
    for index in base.glob(f"*{INDEX_SUFFIX}"):
        shutil.copyfile(index, target / index.name)
    return Rewritten(sum(map(len, spans.values())), changed, sorted(formats), size)


def _matrix(path: Path, span: Span, stored: bytes) -> Tensor:
    if span.dtype not in FORMATS:
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{span.name} in {path} is stored as {span.dtype}, and nothing can be added to such numbers",
            f"give a base whose weights are stored as {', '.join(FORMATS)}",
        )
    return torch.frombuffer(bytearray(stored), dtype=FORMATS[span.dtype]).view(span.shape)


def _merged(span: Span, matrix: Tensor, update: Update | None) -> bytes:
    """The bytes of one tensor as it is stored in the merged model."""
    value = matrix.to("cpu").float() if update is None else update.applied_to(matrix.to("cpu"))
    stored = value.to(FORMATS[span.dtype]).contiguous()
    if not bool(torch.isfinite(stored).all()):
        nan = bool(torch.isnan(stored).any())
        raise DataError(
            ErrorCode.NAN_DETECTED if nan else ErrorCode.INF_DETECTED,
            f"{span.name}, merged, {'is no number' if nan else f'is too large for {span.dtype}'} in places",
            "look at the adapter's training: its updates have left the range of the base's number format",
            details={"tensor": span.name},
        )
    return stored.view(-1).view(torch.uint8).numpy().tobytes()


def unnamed(updates: Iterable[Update], there: set[str]) -> list[str]:
    """Modules that an update is for and that have no tensor of their own among `there`."""
    return [update.module for update in updates if tensor_name(update.module, there) is None]


def tensor_name(module: str, there: set[str]) -> str | None:
    """What the files call the matrix of `module`; None when they have none."""
    names = [f"{module}.weight", *(f"{module.removeprefix(prefix)}.weight" for prefix in HEADLESS_PREFIXES)]
    return next((name for name in names if name in there), None)


def _spans(path: Path) -> Iterator[Span]:
    """The tensors of a proven file in the order in which their bytes lie."""
    headers = read_headers(path)
    position = 0
    for name, start, end in sorted(_offsets(path), key=lambda each: (each[1], each[2])):
        if start != position:
            raise ValueError(f"{path}: a gap before {name}")
        position = end
        yield Span(name, headers[name].dtype, headers[name].shape, start, end)


def _offsets(path: Path) -> Iterator[tuple[str, int, int]]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        header: dict[str, dict[str, JsonValue]] = json.loads(stream.read(length))
    for name, entry in header.items():
        offsets = entry.get("data_offsets")
        if isinstance(offsets, list) and isinstance(offsets[0], int) and isinstance(offsets[1], int):
            yield name, offsets[0], offsets[1]


def _header_bytes(path: Path) -> int:
    with path.open("rb") as stream:
        return LENGTH_BYTES + int.from_bytes(stream.read(LENGTH_BYTES), "little")


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size:
        data = source.read(min(size, COPY_BYTES))
        if not data:
            raise OSError("a weight file became shorter while it was read")
        target.write(data)
        size -= len(data)


def copy_others(base: Path, names: Iterable[str], target: Path) -> None:
    """Copy those of the base's files `names` that are no weights: configuration, tokenizer, template."""
    for name in names:
        if not name.endswith((SUFFIX, INDEX_SUFFIX)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / name, target / name)
