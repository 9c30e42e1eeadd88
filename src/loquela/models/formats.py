"""The contract of a folder format: which networks a `model_type` can hold, and how names and shapes translate."""

from __future__ import annotations

from typing import Protocol

from pydantic import ConfigDict, JsonValue
from torch import Tensor

from loquela.core.model import BoundaryModel
from loquela.models.config import RecurrentConfig, TransformerConfig

Config = TransformerConfig | RecurrentConfig
Tensors = dict[str, Tensor]
Settings = dict[str, JsonValue]


class FolderFormat(Protocol):
    """One `model_type` of config.json. A translation that is not exact is not made: `fits` says no."""

    model_type: str

    def fits(self, config: Config) -> bool:
        """Whether this format holds the network exactly: same logits from the reader's own code."""

    def settings(self, config: Config) -> Settings:
        """Contents of config.json, `model_type` included."""

    def config(self, settings: Settings) -> Config:
        """The network of a config.json; ValidationError or ValueError for one that we cannot compute exactly."""

    def pack(self, config: Config, state: Tensors) -> Tensors:
        """Our parameters under the format's names."""

    def unpack(self, config: Config, tensors: Tensors) -> Tensors:
        """The format's tensors under our names; takes what it knows out of `tensors`, KeyError for a missing one."""


class StockSettings(BoundaryModel):
    """Base of the keys that we read from a config.json written elsewhere; other keys do not change the arithmetic."""

    model_config = ConfigDict(extra="ignore")


def transformer(config: Config) -> TransformerConfig:
    """`config` as a transformer's; formats call it after `fits`."""
    if not isinstance(config, TransformerConfig):
        raise TypeError(f"a transformer's folder format was given a {config.family}")
    return config
