"""Configuration and seed → network: the same weights on every machine, device and process count."""

from __future__ import annotations

import math

import torch
from torch import nn

from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.contract import LanguageModel
from loquela.models.recurrent import Recurrent
from loquela.models.transformer import Transformer

# GPT-2's standard deviation (Radford et al. 2019, section 2.3, whose residual matrices shrink with depth).
STANDARD_DEVIATION = 0.02
RECURRENT_EMBEDDING_RANGE = 0.1


def build_model(config: TransformerConfig | RecurrentConfig, seed: int) -> LanguageModel:
    """A network with random weights, on the CPU; equal `config` and `seed` give equal bits."""
    model = empty_model(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        if isinstance(model, Transformer):
            _initialize_transformer(model, generator)
        elif isinstance(model, Recurrent):
            _initialize_recurrent(model, generator)
    return model


def empty_model(config: TransformerConfig | RecurrentConfig) -> LanguageModel:
    """A network whose weights are not set, for loaders that set every one of them."""
    if isinstance(config, TransformerConfig):
        return Transformer(config)
    return Recurrent(config)


def _initialize_transformer(model: Transformer, generator: torch.Generator) -> None:
    residual = {id(weight) for weight in model.residual_outputs()}
    smaller = STANDARD_DEVIATION / math.sqrt(2 * model.config.num_layers)
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2:
            deviation = smaller if id(parameter) in residual else STANDARD_DEVIATION
            parameter.normal_(0.0, deviation, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.fill_(1.0)


def _initialize_recurrent(model: Recurrent, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(model.config.d_model)
    for name, parameter in model.named_parameters():
        if name in ("token_embedding", "head"):
            parameter.uniform_(-RECURRENT_EMBEDDING_RANGE, RECURRENT_EMBEDDING_RANGE, generator=generator)
        elif parameter.dim() >= 2:
            parameter.uniform_(-bound, bound, generator=generator)
        else:
            parameter.zero_()
        if "bias_ih" in name and isinstance(model.layers, nn.LSTM):
            # An open forget gate lets gradients pass from the first step (Jozefowicz et al. 2015).
            parameter[model.config.d_model : 2 * model.config.d_model] = 1.0
