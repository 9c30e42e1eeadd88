"""Merging by PEFT in memory, for networks whose matrices lie in the files in other pieces than in the network.

A mixture of experts is one: transformers keeps the experts of a layer as one tensor, the files have one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from torch import Tensor, nn

from loquela.artifacts.base import Base
from loquela.core.errors import DataError, ErrorCode
from loquela.core.extras import require
from loquela.finetuning.merging.rewriting import FORMATS, SUFFIX, Replaced, Rewritten
from loquela.models.pretrained.adapters import attach_saved
from loquela.models.pretrained.load import load_base_model, quiet
from loquela.models.pretrained.safetensors_headers import read_headers

# PEFT's and transformers' methods, which no type of torch knows.
MERGE, SAVE = "merge_and_unload", "save_pretrained"


class _Merge(Protocol):
    def __call__(self, *, safe_merge: bool) -> nn.Module:
        """The network with its adapter merged, without PEFT's layers."""


def merge_whole(base: Base, adapter: Path, target: Path, replaced: Replaced) -> Rewritten:
    """As `rewriting.rewrite`, with the whole network in memory in fp32."""
    model = load_base_model(base, dtype="fp32")
    with torch.no_grad():
        for name, matrix in replaced.items():
            model.network.get_parameter(name).copy_(matrix())
    number_format = _number_format(base)
    adapted = attach_saved(model, adapter)
    merge: _Merge = getattr(adapted.module, MERGE)
    merged = merge(safe_merge=False).to(FORMATS[number_format])
    broken = [name for name, weight in merged.named_parameters() if not bool(torch.isfinite(weight).all())]
    if broken:
        raise DataError(
            ErrorCode.INF_DETECTED,
            f"{broken[0]}, merged, is no finite number of {number_format} in places",
            "look at the adapter's training: its updates have left the range of the base's number format",
            details={"tensor": broken[0]},
        )
    save: Callable[[Path], None] = getattr(merged, SAVE)
    with quiet(require("transformers", extra="finetune", purpose="merging an adapter")):
        save(target)
    return _written(base, target, number_format)


def _number_format(base: Base) -> str:
    """That of the base's matrices; the widest where there are several."""
    found = {header.dtype for path in _weights(base.folder) for header in read_headers(path).values()}
    return next((name for name in ("F64", "F32", "BF16", "F16") if name in found), "F32")


def _written(base: Base, target: Path, number_format: str) -> Rewritten:
    before = {name: path for path in _weights(base.folder) for name in read_headers(path)}
    after = {name: path for path in _weights(target) for name in read_headers(path)}
    changed = sum(
        name not in before or not torch.equal(_tensor(before[name], name), _tensor(path, name))
        for name, path in after.items()
    )
    size = sum(path.stat().st_size for path in _weights(target))
    return Rewritten(len(after), changed, [number_format], size)


def _weights(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob(f"*{SUFFIX}"))


def _tensor(path: Path, name: str) -> Tensor:
    with safe_open(path, framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor
