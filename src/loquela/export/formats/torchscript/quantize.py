"""Eight-bit weights in TorchScript, by PyTorch's own dynamic quantisation: products take activations in 8 bits too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.ao.quantization import default_dynamic_qconfig, float_qparams_weight_only_qconfig, quantize_dynamic
from torch.ao.quantization.qconfig import QConfig, per_channel_dynamic_qconfig

from loquela.export.formats.torchscript.networks import Head, Table
from loquela.models.layers import Linear

SCHEME = "8 bit, a scale for each row; activations in 8 bits"


def in_eight_bits(network: nn.Module) -> None:
    """Exchange every matrix of `network` for one of 8-bit numbers, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear | Head):
                setattr(parent, name, _linear(child.weight, getattr(child, "bias", None)))
            elif isinstance(child, Table):
                setattr(parent, name, _embedding(child.weight))
            elif isinstance(child, nn.LSTM | nn.GRU):
                setattr(parent, name, _recurrent(child))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    plain.weight = nn.Parameter(weight.detach())
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach())
    return _quantized(plain, per_channel_dynamic_qconfig)


def _embedding(weight: Tensor) -> nn.Module:
    return _quantized(nn.Embedding.from_pretrained(weight.detach()), float_qparams_weight_only_qconfig)


def _recurrent(layers: nn.LSTM | nn.GRU) -> nn.Module:
    """PyTorch quantises only layers with biases: zeros change nothing."""
    if not layers.bias:
        biased = type(layers)(layers.input_size, layers.hidden_size, layers.num_layers, batch_first=True)
        weights = layers.state_dict()
        zeros = {name: torch.zeros_like(value) for name, value in biased.state_dict().items() if name not in weights}
        biased.load_state_dict(weights | zeros)
        layers = biased
    return _quantized(layers, default_dynamic_qconfig)


def _quantized(plain: nn.Module, settings: QConfig) -> nn.Module:
    holder = nn.ModuleDict({"only": plain})
    quantized: nn.ModuleDict = quantize_dynamic(holder, {type(plain): settings})
    return quantized["only"]
