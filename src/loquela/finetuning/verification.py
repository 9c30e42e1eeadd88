"""Hashes of weights before and after, and what of a model is trained; names of functions as seed 004 publishes them.

A hash is taken of what `state_dict` gives, so that a quantised matrix counts with its scales, whatever layout its
library keeps it in between two products.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from pydantic import Field, ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from loquela.artifacts.manifest import corrupt
from loquela.core.atomic import atomic_path, write_json
from loquela.core.model import BoundaryModel
from loquela.training.shards import shape_of, whole

BASELINE_NAME = "baseline_checksums.json"

# Parts of a name that PEFT gives to what it adds.
ADAPTER_PARTS = frozenset(
    {
        "lora_A",
        "lora_B",
        "lora_embedding_A",
        "lora_embedding_B",
        "lora_magnitude_vector",
        "modules_to_save",
    }
)
# What PEFT puts around a base's own names.
WRAPPERS = ("base_layer", "original_module")
PREFIX = "base_model.model."


class TrainableSummary(BoundaryModel):
    """How much of a model learns; `names` are the parameters that do."""

    total_parameters: int
    trainable_parameters: int
    trainable_percent: float = Field(description="of all parameters, 0 to 100; packed 4-bit values count two each")
    names: list[str]


class ChecksumDifference(BoundaryModel):
    """Names of parameters, by what became of them."""

    changed: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    added: list[str] = Field(default_factory=list)

    @property
    def none(self) -> bool:
        """Whether both are the same."""
        return not (self.changed or self.missing or self.added)


class _Baseline(BoundaryModel):
    format_version: int = 1
    algorithm: str = "sha256"
    checksums: dict[str, str]


def is_adapter_name(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter."""
    return not ADAPTER_PARTS.isdisjoint(name.split("."))


def base_name(name: str) -> str:
    """A parameter's name in the base itself: what an adapter wraps around it is left out."""
    return ".".join(part for part in name.removeprefix(PREFIX).split(".") if part not in WRAPPERS)


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """The adapter's live tensors by name, not copied."""
    return {name: tensor for name, tensor in model.named_parameters() if is_adapter_name(name)}


def compute_model_state_checksum(model: nn.Module) -> dict[str, str]:
    """SHA-256 of every tensor of the base, by its name in the base: type, shape and bytes; adapters do not count."""
    return {base_name(name): _digest(tensor) for name, tensor in _state(model) if not is_adapter_name(name)}


def save_base_model_checksums(model: nn.Module, directory: Path, *, writes: bool = True) -> dict[str, str]:
    """Write `baseline_checksums.json` into `directory`; ResourceError when the file system refuses.

    Of processes that share a model out all must come here, and one of them `writes`.
    """
    checksums = compute_model_state_checksum(model)
    if writes:
        write_json(directory / BASELINE_NAME, _Baseline(checksums=checksums).model_dump(mode="json"))
    return checksums


def load_base_model_checksums(directory: Path) -> dict[str, str]:
    """What `save_base_model_checksums` wrote; DataError(CORRUPTION) for a file that cannot be read as that."""
    try:
        return _Baseline.model_validate_json((directory / BASELINE_NAME).read_bytes()).checksums
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{BASELINE_NAME} cannot be read") from error


def compare_model_checksums(before: Mapping[str, str], after: Mapping[str, str]) -> ChecksumDifference:
    """Which parameters differ, went or came."""
    return ChecksumDifference(
        changed=sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
        missing=sorted(before.keys() - after.keys()),
        added=sorted(after.keys() - before.keys()),
    )


def verify_base_weights_unchanged(model: nn.Module, directory: Path) -> ChecksumDifference:
    """`model`'s base against `baseline_checksums.json` of `directory`; DataError(CORRUPTION) without a whole one."""
    return compare_model_checksums(load_base_model_checksums(directory), compute_model_state_checksum(model))


def get_trainable_parameters_summary(model: nn.Module) -> TrainableSummary:
    """Counts of a model's parameters and the names of those that learn."""
    total = sum(_elements(tensor) for tensor in model.parameters())
    learning = [(name, shape_of(tensor).numel()) for name, tensor in model.named_parameters() if tensor.requires_grad]
    trainable = sum(count for _, count in learning)
    return TrainableSummary(
        total_parameters=total,
        trainable_parameters=trainable,
        trainable_percent=round(100 * trainable / total, 4) if total else 0.0,
        names=[name for name, _ in learning],
    )


def verify_only_adapter_trainable(model: nn.Module) -> list[str]:
    """Names of parameters that learn and belong to the base; empty when it is frozen."""
    return [name for name in get_trainable_parameters_summary(model).names if not is_adapter_name(name)]


def save_adapter_only_params(model: nn.Module, path: Path) -> int:
    """Write the adapter's tensors alone as safetensors; how many. ResourceError when the file system refuses."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in adapter_state(model).items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)
    return len(tensors)


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.state_dict().items()


def _digest(tensor: Tensor) -> str:
    value = whole(tensor).to("cpu").contiguous()
    digest = hashlib.sha256(f"{value.dtype} {list(value.shape)}".encode())
    digest.update(value.view(-1).view(torch.uint8).numpy().data if value.numel() else b"")
    return digest.hexdigest()


def _elements(tensor: Tensor) -> int:
    """Packed 4-bit matrices hold two values a byte; nothing else that is trained on is stored as uint8."""
    return shape_of(tensor).numel() * (2 if tensor.dtype == torch.uint8 else 1)
