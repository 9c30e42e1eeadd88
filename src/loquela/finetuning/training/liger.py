"""Liger's Triton kernels in a network's norms and gated layers, and whether any of them took hold.

Head and loss stay ours, which leave out what is not learnt; positions too, since Liger exchanges them for every network
of the process. What it exchanges for networks to come is put back: only the one that is trained is changed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.models.pretrained.causal import CausalModel

EXTRA, PURPOSE = "liger", "finetune.liger"
PACKAGE = "liger_kernel"


def check_liger(wanted: bool, device: str) -> None:
    """RecipeError(CONFIG_INVALID) where the kernels cannot run, ResourceError(MISSING_EXTRA) without them."""
    if not wanted:
        return
    if device != "cuda":
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"finetune.liger asks for kernels of Triton, which run on CUDA devices, and the device is {device}",
            "leave finetune.liger out: head and loss leave out what is not learnt without it",
        )
    require(f"{PACKAGE}.transformers", extra=EXTRA, purpose=PURPOSE)


def apply_liger(model: CausalModel) -> None:
    """Exchange what Liger has a kernel for; RecipeError(CONFIG_INVALID) when that is nothing of this network."""
    patches = require(f"{PACKAGE}.transformers.monkey_patch", extra=EXTRA, purpose=PURPOSE)
    with _module_kept(model.network):
        patches._apply_liger_kernel_to_instance(
            model=model.network, rope=False, cross_entropy=False, fused_linear_cross_entropy=False
        )
    if not exchanged(model.network):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"finetune.liger is true, and Liger changed nothing of this network ({model.base.identity.model_type})",
            "leave finetune.liger out, or install a newer Liger",
        )


def exchanged(network: nn.Module) -> dict[str, int]:
    """Liger's name of a layer → how many layers of a network compute by it."""
    held = [
        module
        for module in network.modules()
        if (getattr(module.__dict__.get("forward"), "__module__", None) or "").startswith(PACKAGE)
    ]
    return dict(Counter(module._get_name() for module in held))


@contextmanager
def _module_kept(network: nn.Module) -> Iterator[None]:
    """Whatever is exchanged in the network's module of transformers is put back."""
    names = vars(sys.modules[type(network).__module__])
    before = dict(names)
    try:
        yield
    finally:
        for name in names.keys() - before.keys():
            del names[name]
        names.update(before)
