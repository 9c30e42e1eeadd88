"""The best fp32 matrix product of this machine, all threads: what dense training cannot exceed."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from loquela.models.kernels import onednn_available, onednn_product

# (rows, inner, outputs): square, and the shapes of the measured models' layers and heads.
PRODUCTS = ((2048, 2048, 2048), (4096, 384, 1536), (2048, 768, 3072), (512, 128, 8000))
REPEATS = 12


def measure() -> dict[str, float]:
    """GFLOP/s of the best shape, by kernel."""
    kernels: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"torch": torch.nn.functional.linear}
    if onednn_available():
        kernels["onednn"] = onednn_product
    best = dict.fromkeys(kernels, 0.0)
    with torch.no_grad():
        for rows, inner, outputs in PRODUCTS:
            left, right = torch.randn(rows, inner), torch.randn(outputs, inner)
            for name, kernel in kernels.items():
                kernel(left, right)
                for _ in range(REPEATS):
                    began = time.perf_counter()
                    kernel(left, right)
                    speed = 2e-9 * rows * inner * outputs / (time.perf_counter() - began)
                    best[name] = max(best[name], speed)
    return best
