"""The matrices of a quantised network as its arithmetic sees them: what an adapter on it was really trained beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from torch import Tensor, nn

from loquela.core.extras import require
from loquela.finetuning.merging.rewriting import Replaced, tensor_name

QUANTIZED_LAYERS = ("Linear4bit", "Linear8bitLt")


def dequantized(network: nn.Module, names: Iterable[str]) -> Replaced:
    """Every quantised matrix of `network` by its name in the files, `names`; each is computed when it is asked for."""
    integrations = require("peft.utils.integrations", extra="finetune", purpose="merging an adapter")
    convert: Callable[[nn.Module], Tensor] = integrations.dequantize_module_weight
    there = set(names)
    found: dict[str, Callable[[], Tensor]] = {}
    for module_name, module in network.named_modules():
        if type(module).__name__ in QUANTIZED_LAYERS:
            name = tensor_name(module_name, there)
            if name is not None:
                found[name] = partial(_converted, convert, module)
    return found


def _converted(convert: Callable[[nn.Module], Tensor], module: nn.Module) -> Tensor:
    return convert(module).detach()
