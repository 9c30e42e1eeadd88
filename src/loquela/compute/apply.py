"""Makes the process compute as its plan says."""

from __future__ import annotations

import os

import torch

from loquela.compute.allocator import keep_freed_memory
from loquela.compute.devices import DevicePlan
from loquela.compute.lean import leave_compiler_out
from loquela.core.errors import ErrorCode, ResourceError
from loquela.models.kernels import use_linear_kernel

# cuBLAS is repeatable only with a workspace of fixed size, read when its handle is made.
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def apply_plan(plan: DevicePlan) -> None:
    """Set threads, allocator, matrix kernel and determinism of this process; call it before any tensor is made.

    Without `plan.compile` the compiler is kept out of the process.

    Raises ResourceError(INSUFFICIENT_RESOURCES) when the plan's kernel is not in this PyTorch: another one would
    give other bits than the run that the plan belongs to.
    """
    torch.set_num_threads(plan.threads)
    keep_freed_memory()
    if not plan.compile:
        leave_compiler_out()
    if use_linear_kernel(plan.linear_kernel) != plan.linear_kernel:
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"this run computes with {plan.linear_kernel}, which this PyTorch was built without",
            "resume on a machine with the PyTorch that the run began with, or start a new run",
        )
    if plan.deterministic:
        os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")
        # Filling every new tensor finds reads of unset memory, and costs a pass over each: that is for debugging.
        torch._C._set_deterministic_fill_uninitialized_memory(False)
    torch.use_deterministic_algorithms(plan.deterministic)
    torch.backends.cudnn.benchmark = not plan.deterministic
