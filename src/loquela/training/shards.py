"""Tensors of which every process holds a share, and whole ones: the two read and written alike.

A share is a DTensor of torch, cut along its first dimension. Reading one whole is a collective: every process must
come to it, in the same order. What is whole already costs nothing here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def is_share(tensor: Tensor) -> bool:
    """Whether this process holds only a share of the tensor."""
    return isinstance(tensor, DTensor)


@torch.no_grad()
def whole(tensor: Tensor) -> Tensor:
    """All of it, detached, on every process; one that is whole is given back as it is, not copied."""
    held = tensor.detach()
    return held.full_tensor() if isinstance(held, DTensor) else held


def own_part(tensor: Tensor) -> Tensor:
    """What lies in this process: the live memory, all of it where the tensor is whole."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


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
    live.copy_(shared_like(value, live))
