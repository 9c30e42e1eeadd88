"""Request, result and error of the ModelInitializer."""

from __future__ import annotations

from typing import Literal, Self
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field, model_validator

from loquela.core.model import BoundaryModel
from loquela.recipe.schema import ModelFamily

InitializerErrorCode = Literal["ARCHITECTURE_INVALID", "PRETRAINED_LOAD_FAILED", "OOM"]


class Architecture(BoundaryModel):
    """The network's outer shape."""

    # "model_" is a prefix that Pydantic keeps for itself unless told otherwise.
    model_config = ConfigDict(protected_namespaces=())

    model_type: ModelFamily
    num_layers: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    num_attention_heads: int = Field(1, ge=1, description="transformers only")
    vocab_size: int = Field(ge=1)


class Initialization(BoundaryModel):
    """Where the first weights come from."""

    method: Literal["random", "pretrained"] = "random"
    pretrained_path: str | None = None
    seed: int = Field(1337, ge=0)

    @model_validator(mode="after")
    def _pretrained_has_a_path(self) -> Self:
        if self.method == "pretrained" and not self.pretrained_path:
            raise ValueError("method pretrained needs pretrained_path")
        return self


class ModelInitializerRequest(BoundaryModel):
    """A network and its first weights."""

    architecture: Architecture
    initialization: Initialization = Field(default_factory=Initialization)


class ModelInitializerResult(BoundaryModel):
    """What was made; `checkpoint_path` is the folder the weights came from, "" for random ones."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: UUID = Field(default_factory=uuid4)
    parameter_count: int
    memory_footprint_gb: float
    initialization_successful: bool
    checkpoint_path: str = ""


class ModelInitializerError(BoundaryModel):
    """Why no network was made."""

    error_code: InitializerErrorCode
    details: str
