"""PEFT's layer for a linear one, computed by our kernel where that holds, and by PEFT's own code everywhere else.

Given to PEFT by its own door for layers of others (`LoraConfig._register_custom_module`): names, tensors, saving and
merging are PEFT's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Protocol

from torch import Tensor, nn

from loquela.models.lora_kernel import applies, lora_linear


class _Layer(Protocol):
    """What we read of PEFT's layer."""

    merged: bool
    disable_adapters: bool
    active_adapters: list[str]
    lora_A: Mapping[str, nn.Linear]
    lora_B: Mapping[str, nn.Linear]
    lora_dropout: Mapping[str, nn.Module]
    lora_variant: Mapping[str, object]
    scaling: Mapping[str, float]
    training: bool

    def get_base_layer(self) -> nn.Module:
        """The frozen layer."""


def takes_over(layer: _Layer, inputs: Tensor, others: bool) -> bool:
    """Whether the plain case is at hand: one adapter in use without variant, on a float32 matrix of the CPU."""
    if others or layer.merged or layer.disable_adapters or len(layer.active_adapters) != 1:
        return False
    name, base = layer.active_adapters[0], layer.get_base_layer()
    return (
        name in layer.lora_A
        and name not in layer.lora_variant
        and isinstance(base, nn.Linear)
        and not base.weight.requires_grad
        and layer.lora_A[name].bias is None
        and layer.lora_B[name].bias is None
        and layer.lora_A[name].weight.dtype == inputs.dtype
        and applies(inputs, base.weight)
    )


def computed(layer: _Layer, inputs: Tensor) -> Tensor:
    """The layer's output, by our kernel."""
    name, base = layer.active_adapters[0], layer.get_base_layer()
    dropout = layer.lora_dropout[name]
    share = dropout.p if layer.training and isinstance(dropout, nn.Dropout) else 0.0
    weight, bias = getattr(base, "weight"), getattr(base, "bias")  # noqa: B009 (nn.Linear's, proven in takes_over)
    return lora_linear(
        inputs, weight, bias, layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name], share
    )


def custom_modules(layers: ModuleType) -> dict[type[nn.Module], type]:
    """nn.Linear → the layer that PEFT shall make for it; `layers` is the module peft.tuners.lora.layer."""
    stock = layers.Linear

    def forward(self: _Layer, x: Tensor, *positional: object, **named: object) -> Tensor:
        if takes_over(self, x, bool(positional or named)):
            return computed(self, x)
        output: Tensor = stock.forward(self, x, *positional, **named)
        return output

    def __init__(self: _Layer, base_layer: nn.Module, adapter_name: str, **named: object) -> None:
        # PEFT names a single parameter of a module there; a matrix has none to name.
        stock.__init__(self, base_layer, adapter_name, **{key: named[key] for key in named if key != "parameter_name"})

    return {nn.Linear: type("LoquelaLoraLinear", (stock,), {"forward": forward, "__init__": __init__})}
