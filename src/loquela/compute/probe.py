"""What the CPU really does: a tenth of a second of matrix products, on the shapes that the model will use.

Names of instruction sets do not decide: a library may not use them, and bf16 without them is 20 times slower.
One thread is probed: with more of them, other programs' work makes every product wait for the slowest thread.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch import Tensor

from loquela.core.model import BoundaryModel
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.kernels import onednn_available, onednn_product

# Rows and outputs of the product: its 1 MiB result stays in the cache and is not mapped anew by the allocator.
PROBE_ROWS = 512
WIDEST_PROBE = 8192
PROBE_OUTPUTS = 512
# The shortest time counts, and other programs may be busy: each kernel gets this long to have one quiet moment.
SECONDS_PER_KERNEL = 0.03
MINIMUM_REPEATS = 5
# The first bf16 products are this many times smaller, since they may turn out to be very slow.
CAUTIOUS_SHARE = 16


Product = Callable[[Tensor, Tensor], Tensor]


class CpuProbe(BoundaryModel):
    """Matrix speed of one thread in floating-point operations per second; 0 for a kernel that is missing."""

    torch_fp32: float
    onednn_fp32: float
    bf16: float

    @property
    def best_fp32(self) -> float:
        """The faster fp32 kernel's speed."""
        return max(self.torch_fp32, self.onednn_fp32)

    @property
    def onednn_gain(self) -> float:
        """oneDNN's speed as a multiple of PyTorch's own."""
        return self.onednn_fp32 / self.torch_fp32

    @property
    def bf16_gain(self) -> float:
        """bf16's speed as a multiple of the best fp32 kernel's."""
        return self.bf16 / self.best_fp32


def probe_cpu(config: TransformerConfig | RecurrentConfig | None) -> CpuProbe:
    """Probe one thread on the model's width, and leave the process's thread count as it was; the reading is kept."""
    return probe_width(128 if config is None else config.d_model)


def probe_width(width: int) -> CpuProbe:
    """The same for a network of `width`."""
    # A wider product is no faster, and a file may claim any width.
    return _probe(min(max(16, width), WIDEST_PROBE))


@functools.lru_cache(maxsize=16)
def _probe(width: int) -> CpuProbe:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            return _measure(width)
    finally:
        torch.set_num_threads(before)


def _measure(width: int) -> CpuProbe:
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(PROBE_ROWS, width, generator=generator)
    right = torch.randn(PROBE_OUTPUTS, width, generator=generator)
    kernels: list[Product] = [torch.nn.functional.linear]
    if onednn_available():
        kernels.append(onednn_product)
    fp32 = _speeds(kernels, left, right)
    return CpuProbe(
        torch_fp32=fp32[0],
        onednn_fp32=fp32[1] if len(fp32) > 1 else 0.0,
        bf16=_bf16_speed(left.bfloat16(), right.bfloat16(), max(fp32)),
    )


def _bf16_speed(left: Tensor, right: Tensor, fp32: float) -> float:
    cautious = _speeds([torch.nn.functional.linear], left[: PROBE_ROWS // CAUTIOUS_SHARE], right, seconds=0.0)[0]
    if cautious < fp32 / 8:
        return cautious
    return _speeds([torch.nn.functional.linear], left, right)[0]


def _speeds(kernels: list[Product], left: Tensor, right: Tensor, seconds: float = SECONDS_PER_KERNEL) -> list[float]:
    """Each kernel's best speed in operations per second; they take turns, so that a busy moment hits all of them."""
    best = [float("inf")] * len(kernels)
    end = time.perf_counter() + seconds * len(kernels)
    turn = 0
    while turn <= MINIMUM_REPEATS or time.perf_counter() < end:
        for index, kernel in enumerate(kernels):
            start = time.perf_counter()
            kernel(left, right)
            if turn:
                best[index] = min(best[index], time.perf_counter() - start)
        turn += 1
    flops = 2.0 * left.shape[0] * left.shape[1] * right.shape[0]
    return [flops / each for each in best]
