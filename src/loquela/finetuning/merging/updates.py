"""What an adapter does to each matrix of its base, as a formula: LoRA, rsLoRA, DoRA.

    LoRA    W' = W + s · B A            s = alpha / rank, rsLoRA: alpha / √rank
    DoRA    W' = m · (W + s · B A) / ‖W + s · B A‖        norm of each output's row, m learnt

(Hu et al. 2021; Kalajdzievski 2023; Liu et al. 2024.) All arithmetic is fp32, whatever the numbers are stored as.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ConfigDict, Field, ValidationError
from safetensors.torch import load_file
from torch import Tensor

from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
PREFIX = "base_model.model."
KEY = re.compile(r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_magnitude_vector)(?:\.weight)?")
PARTS = ("lora_A", "lora_B")


class LoraConfigFile(BoundaryModel):
    """The keys of PEFT's adapter_config.json that decide what is added to a matrix."""

    model_config = ConfigDict(extra="ignore")

    peft_type: str
    lora_alpha: float
    use_rslora: bool = False
    use_dora: bool = False
    fan_in_fan_out: bool = False
    alpha_pattern: dict[str, float] = Field(default_factory=dict)

    def alpha_of(self, module: str) -> float:
        """Alpha of one module: that of the first pattern which its name ends with, else the general one."""
        for pattern, alpha in self.alpha_pattern.items():
            if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", module):
                return alpha
        return self.lora_alpha


@dataclass(frozen=True)
class Update:
    """What is done to the matrix of `module`; `magnitude` is that of DoRA, `transposed` says that W is (in, out)."""

    module: str
    a: Tensor
    b: Tensor
    scaling: float
    magnitude: Tensor | None
    transposed: bool

    def applied_to(self, weight: Tensor) -> Tensor:
        """W' in fp32; DataError(SHAPE_MISMATCH) for a matrix that it does not fit."""
        delta = (self.b.float() @ self.a.float()) * self.scaling
        turned = self._turned(weight, delta)
        matrix = weight.float().T if turned else weight.float()
        merged = matrix + delta
        if self.magnitude is not None:
            norm = torch.linalg.norm(merged, dim=1, keepdim=True)
            merged = merged * (self.magnitude.float().view(-1, 1) / norm)
        return (merged.T if turned else merged).contiguous()

    def _turned(self, weight: Tensor, delta: Tensor) -> bool:
        straight, turned = weight.shape == delta.shape, weight.shape == delta.T.shape
        if straight and turned:
            return self.transposed
        if straight or turned:
            return turned
        raise DataError(
            ErrorCode.SHAPE_MISMATCH,
            f"the adapter changes {self.module} by a matrix of {tuple(delta.shape)}, the base has "
            f"{tuple(weight.shape)} there",
            "give the base that the adapter was trained on",
            details={"module": self.module},
        )


def read_updates(adapter: Path) -> list[Update]:
    """Every matrix that the adapter in `adapter` changes, in the order of its file.

    Raises DataError: UNSUPPORTED_FORMAT for another kind of adapter or for tensors that are no LoRA of a matrix,
    CORRUPTION for files that cannot be read.
    """
    config = _config(adapter)
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in _tensors(adapter / WEIGHTS_NAME).items():
        found = KEY.fullmatch(key.removeprefix(PREFIX))
        if found is None:
            raise _unsupported(adapter, f"its tensor {key} is no LoRA of a matrix")
        parts.setdefault(found["module"], {})[found["part"]] = tensor
    return [_update(adapter, config, module, held) for module, held in parts.items()]


def _update(adapter: Path, config: LoraConfigFile, module: str, held: dict[str, Tensor]) -> Update:
    missing = [part for part in PARTS if part not in held]
    if missing:
        raise _damaged(adapter, f"{module} has no {' and no '.join(missing)}")
    if config.use_dora != ("lora_magnitude_vector" in held):
        raise _damaged(
            adapter, f"{CONFIG_NAME} says use_dora: {config.use_dora}, the tensors of {module} say otherwise"
        )
    rank = held["lora_A"].shape[0]
    alpha = config.alpha_of(module)
    return Update(
        module=module,
        a=held["lora_A"],
        b=held["lora_B"],
        scaling=alpha / math.sqrt(rank) if config.use_rslora else alpha / rank,
        magnitude=held.get("lora_magnitude_vector"),
        transposed=config.fan_in_fan_out,
    )


def _config(adapter: Path) -> LoraConfigFile:
    path = adapter / CONFIG_NAME
    try:
        config = LoraConfigFile.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise _damaged(adapter, f"{CONFIG_NAME} cannot be read as the configuration of a LoRA adapter") from error
    if config.peft_type != "LORA":
        raise _unsupported(adapter, f"it is of PEFT's type {config.peft_type}, and only LORA can be merged")
    return config


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except Exception as error:  # safetensors raises its own untyped error class for any damage
        raise _damaged(path.parent, f"{path.name} cannot be read as safetensors: {error}") from error
    if not tensors:
        raise _damaged(path.parent, f"{path.name} holds no tensor")
    return tensors


def _damaged(adapter: Path, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPTION,
        f"the adapter in {adapter} is damaged: {what}",
        "restore it from a copy, or train it again",
        details={"path": str(adapter)},
    )


def _unsupported(adapter: Path, what: str) -> DataError:
    return DataError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"the adapter in {adapter} cannot be merged: {what}",
        "use the adapter on its base, without merging",
        details={"path": str(adapter)},
    )
