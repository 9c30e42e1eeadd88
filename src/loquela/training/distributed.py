"""Several processes as one: the ranks that torchrun started, and the few things they agree on.

Weights are replicated. Every rank works on its share of each micro-batch with losses divided by the label tokens
of the *global* batch, so gradients are added, not averaged, and a ragged share needs no correction. The sum runs
over flattened buckets in a fixed order: the same processes give the same bits, and every rank the same bits.

    env of torchrun ──► start_group ──► Group(rank, world_size, …)     one process without it: Group()
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from loquela.core.errors import ErrorCode, InternalError, ResourceError
from loquela.training.shards import is_share

# A rank may wait this long for rank 0's validation, samples and checkpoints.
TIMEOUT_SECONDS = 1800.0
# 32 MiB of float32: large enough to use the link, small beside the gradients themselves.
BUCKET_ELEMENTS = 8 * 1024 * 1024


@dataclass(frozen=True)
class Group:
    """This process among its equals; the default is a process alone."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one rank that writes and reports."""
        return self.rank == 0

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up every parameter's gradient over all ranks, in place; one that is absent here counts as zero.

        Those of shares were added up as they were shared out.
        """
        if self.world_size == 1:
            return
        gradients = []
        for parameter in parameters:
            if is_share(parameter):
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        for bucket in buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            self.sum(flat)
            parts = flat.split([gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def sum(self, values: Tensor) -> Tensor:
        """Add `values` up over all ranks, in place, on the device they are on."""
        if self.world_size > 1:
            dist.all_reduce(values, dist.ReduceOp.SUM)
        return values

    def minimum(self, values: Tensor) -> Tensor:
        """The element-wise minimum over all ranks, in place: how a flag becomes everybody's."""
        if self.world_size > 1:
            dist.all_reduce(values, dist.ReduceOp.MIN)
        return values

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether any rank raised it; host memory only, so the device goes on working."""
        if self.world_size == 1:
            return flags
        votes = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return tuple(bool(vote) for vote in votes.tolist())

    def from_leader(self, number: int) -> int:
        """Rank 0's number, on every rank."""
        if self.world_size == 1:
            return number
        box = torch.tensor([number], dtype=torch.int64)
        dist.broadcast(box, 0)
        return int(box.item())

    def wait_for_all(self) -> None:
        """Go on when every rank has come here."""
        self.any(False)

    def prove_equal(self, model: nn.Module) -> None:
        """InternalError when the ranks do not hold the same weights, bit for bit; the first step would mix them."""
        if self.world_size == 1:
            return
        sums = torch.stack([checksum(parameter) for parameter in model.parameters()]).cpu()
        lowest, highest = sums.clone(), sums.clone()
        dist.all_reduce(lowest, dist.ReduceOp.MIN)
        dist.all_reduce(highest, dist.ReduceOp.MAX)
        if not torch.equal(lowest, highest):
            raise InternalError(
                ErrorCode.INTERNAL,
                f"the {self.world_size} ranks start from different weights",
                "use the same versions of Loquela and PyTorch on every machine",
            )


@contextmanager
def start_group(device: Literal["cpu", "cuda"] | str, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Group]:
    """Join the processes that torchrun started (RANK, WORLD_SIZE … in the environment), and leave them at the end.

    gloo carries what is in host memory, NCCL what is on CUDA devices. Raises ResourceError(WORKER_CRASH) when the
    others do not come within the timeout.
    """
    group = Group(
        rank=int(os.environ.get("RANK", "0")),
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_world_size=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )
    if group.world_size == 1:
        yield group
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(group.local_rank)
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo",
            timeout=datetime.timedelta(seconds=timeout_seconds),
        )
    except (RuntimeError, ValueError) as error:
        raise lost_peers(error) from error
    try:
        yield group
    except RuntimeError as error:
        if is_lost_peer(error):
            raise lost_peers(error) from error
        raise
    finally:
        dist.destroy_process_group()


def buckets(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Consecutive tensors of one type, cut into buckets of about BUCKET_ELEMENTS."""
    found: list[list[Tensor]] = []
    size = 0
    for tensor in tensors:
        if not found or size + tensor.numel() > BUCKET_ELEMENTS or found[-1][0].dtype != tensor.dtype:
            found.append([])
            size = 0
        found[-1].append(tensor)
        size += tensor.numel()
    return found


def checksum(values: Tensor) -> Tensor:
    """A number that changes with any bit of `values` at almost any place; float64, on the tensor's device."""
    bits = values.detach().reshape(-1).view(torch.uint8).to(torch.float64)
    weights = torch.arange(bits.numel(), dtype=torch.float64, device=bits.device) % 8191 + 1
    return torch.dot(bits, weights)


def is_lost_peer(error: RuntimeError) -> bool:
    """Whether a collective failed because another rank is gone."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(
        sign in text for sign in ("connection closed", "connection reset", "timed out", "gloo", "nccl")
    )


def lost_peers(error: Exception) -> ResourceError:
    """The error of a rank whose peers failed or never came."""
    return ResourceError(
        ErrorCode.WORKER_CRASH,
        f"another process of this training is gone: {str(error).splitlines()[0]}",
        "run the same command again with --resume auto; the log of the process that failed first says why",
        retryable=True,
    )
