"""Tensors of which every process holds a part, and whole ones: the two read and written alike.

A part is a DTensor of torch, cut along its first dimension, or a parameter that DeepSpeed has taken apart. Reading one
whole is a collective: every process must come to it, in the same order. What is whole already costs nothing here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from loquela.core.extras import require

# What DeepSpeed marks the parameters with that it has taken apart.
PART = "ds_id"


def is_share(tensor: Tensor) -> bool:
    """Whether this process holds only a part of the tensor."""
    return isinstance(tensor, DTensor) or hasattr(tensor, PART)


@torch.no_grad()
def whole(tensor: Tensor) -> Tensor:
    """All of it, detached, on every process; one that is whole is given back as it is, not copied."""
    if hasattr(tensor, PART):
        with _gathered(tensor):
            return tensor.detach().clone()
    held = tensor.detach()
    return held.full_tensor() if isinstance(held, DTensor) else held


def own_part(tensor: Tensor) -> Tensor:
    """What lies in this process: the live memory, all of it where the tensor is whole."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def shape_of(tensor: Tensor) -> torch.Size:
    """Of the whole tensor."""
    found = getattr(tensor, "ds_shape", None)
    return found if isinstance(found, torch.Size) else tensor.shape


def shared_like(value: Tensor, live: Tensor) -> Tensor:
    """`value`, whole on every process, cut as `live` is; the same tensor where that is whole or of another shape."""
    if not isinstance(live, DTensor) or value.shape != live.shape:
        return value
    moved = value.to(live.device_mesh.device_type)
    shared = distribute_tensor(moved, live.device_mesh, live.placements, src_data_rank=None)
    return shared.to(live.device)


@torch.no_grad()
def put(live: Tensor, value: Tensor) -> None:
    """Copy `value`, whole on every process, into the live tensor."""
    if hasattr(live, PART):
        with _gathered(live, modifier_rank=0):
            live.copy_(value)
        return
    live.copy_(shared_like(value, live))


def _gathered(parameter: Tensor, modifier_rank: int | None = None) -> AbstractContextManager[None]:
    zero = require("deepspeed", extra="deepspeed", purpose="compute.strategy: deepspeed").zero
    around: AbstractContextManager[None] = zero.GatheredParameters([parameter], modifier_rank=modifier_rank)
    return around
