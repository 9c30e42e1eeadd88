"""Keeps the compiler out of a process that does not compile: 76 MB and a second of start.

PyTorch loads its whole compiler to say that parts of an optimizer are not for compiling: once when a marked method is
first called (what to call is then cached on the function; here it is filled in beforehand), and in every `step`, to
break a graph that nobody traces (here the step goes straight to the function inside, without gradients as ever).
"""

from __future__ import annotations

import sys

import torch
import torch.utils.checkpoint

# Where PyTorch's own wrapper caches the function to call (torch/_compile.py).
CACHE_ATTRIBUTE = "__dynamo_disable"
# AdamW inherits Adam's step.
KINDS = (torch.optim.Adam, torch.optim.SGD)


def leave_compiler_out() -> bool:
    """Prepare Adam, AdamW and SGD; False, and nothing changed, when it is too late or this PyTorch is made otherwise.

    To be called before an optimizer is made, in a process that never compiles one or differentiates through a step.
    """
    if "torch._dynamo" in sys.modules:
        return False
    optimizer = torch.optim.Optimizer
    marked = (
        optimizer.add_param_group,
        optimizer.zero_grad,
        optimizer.state_dict,
        optimizer.load_state_dict,
        torch.utils.checkpoint.checkpoint,
    )
    inner = [getattr(function, "__wrapped__", None) for function in marked]
    steps = [getattr(kind.step, "__wrapped__", None) for kind in KINDS]
    if None in inner or None in steps:
        return False
    if hasattr(inner[0], CACHE_ATTRIBUTE):
        return True
    for function in inner:
        setattr(function, CACHE_ATTRIBUTE, function)
    for kind, step in zip(KINDS, steps, strict=True):
        if callable(step):
            setattr(kind, "step", torch.no_grad()(step))  # noqa: B010 - a method of a class that is not ours
    return True
