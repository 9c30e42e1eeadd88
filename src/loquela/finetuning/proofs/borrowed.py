"""A model lent to a proof: it may train it, and everything is bit for bit as before when it gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What learns, by name, live."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def trained_copy(model: nn.Module) -> dict[str, Tensor]:
    """What learns, by name, copied."""
    return {name: parameter.detach().clone() for name, parameter in trained_parameters(model).items()}


@torch.no_grad()
def put_back(model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Copy `saved` into the parameters of the same names."""
    parameters = dict(model.named_parameters())
    for name, value in saved.items():
        parameters[name].copy_(value)


@contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """Restores trained tensors, gradients (to none), training modes and random numbers at the end, whatever happens."""
    saved = trained_copy(model)
    modes = [(module, module.training) for module in model.modules()]
    devices = sorted({parameter.device.index or 0 for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            put_back(model, saved)
            for parameter in model.parameters():
                parameter.grad = None
            for module, training in modes:
                module.training = training


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout layers let everything through; the rest of the model stays in the mode that it is in."""
    layers = [(layer, layer.p) for layer in model.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)]
    inside = [(module, share) for module in model.modules() if (share := _own_dropout(module)) is not None]
    for layer, _ in layers:
        layer.p = 0.0
    for module, _ in inside:
        setattr(module, _OWN, 0.0)
    try:
        yield
    finally:
        for layer, share in layers:
            layer.p = share
        for module, before in inside:
            setattr(module, _OWN, before)


# Attention modules of transformers hand this number to their kernel instead of holding a layer.
_OWN = "attention_dropout"


def _own_dropout(module: nn.Module) -> float | None:
    share = module.__dict__.get(_OWN)
    return float(share) if isinstance(share, int | float) else None
