"""Folders of other families that are Llama's network under another name: read, never written.

mistral   Llama's, without its sliding window (or with one that no text reaches)
qwen2     Llama's, with biases on queries, keys and values alone; the others' are zeros here
"""

from __future__ import annotations

import torch

from loquela.models.config import TransformerConfig
from loquela.models.format_llama import LlamaFormat, LlamaSettings
from loquela.models.formats import Config, Settings, Tensors, transformer

# Mistral's class takes a config.json without the key for one with this window.
MISTRAL_WINDOW = 4096


class MistralSettings(LlamaSettings):
    """Llama's keys, and the window."""

    sliding_window: int | None = MISTRAL_WINDOW


class MistralFormat(LlamaFormat):
    """`model_type: mistral`."""

    def __init__(self) -> None:
        super().__init__("llama")
        self.model_type = "mistral"

    def fits(self, config: Config) -> bool:
        """Written as Llama's."""
        return False

    def config(self, settings: Settings) -> TransformerConfig:
        """The network of a config.json; ValueError for a window that texts reach."""
        stock = MistralSettings.model_validate(settings)
        if stock.sliding_window is not None and stock.sliding_window < stock.max_position_embeddings:
            raise ValueError(f"sliding_window {stock.sliding_window} is shorter than the context")
        return super().config(settings)


class Qwen2Format(LlamaFormat):
    """`model_type: qwen2`."""

    def __init__(self) -> None:
        super().__init__("llama")
        self.model_type = "qwen2"

    def fits(self, config: Config) -> bool:
        """Written as Llama's with biases."""
        return False

    def config(self, settings: Settings) -> TransformerConfig:
        """The network of a config.json."""
        return super().config({**settings, "attention_bias": True, "mlp_bias": True})

    def unpack(self, config: Config, tensors: Tensors) -> Tensors:
        """Qwen2's tensors under our names, with zeros for the biases that it has not."""
        shape = transformer(config)
        widths = {
            "self_attn.o_proj": shape.d_model,
            "mlp.gate_proj": shape.dim_feedforward,
            "mlp.up_proj": shape.dim_feedforward,
            "mlp.down_proj": shape.d_model,
        }
        for index in range(shape.num_layers):
            for name, width in widths.items():
                tensors[f"model.layers.{index}.{name}.bias"] = torch.zeros(width)
        return super().unpack(config, tensors)
