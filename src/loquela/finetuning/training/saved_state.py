"""What is trained and its optimizer's state as safetensors, in a checkpoint's files; exact to the bit both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from loquela.artifacts.manifest import corrupt
from loquela.core.errors import DataError, ErrorCode
from loquela.training.optimizers import OptimizerSet
from loquela.training.shards import put, shape_of, whole
from loquela.training.staging import write_safetensors

MODEL_NAME, OPTIMIZER_NAME = "model.safetensors", "optimizer.safetensors"


def trained_names(model: nn.Module) -> frozenset[str]:
    """Names of the parameters that learn: what a checkpoint holds, since the base stays in its own folder."""
    return frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)


@torch.no_grad()
def put_trained(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Copy a checkpoint's weights into the live model.

    DataError(CHECKPOINT_INCOMPATIBLE) when they are not exactly what this model trains.
    """
    live = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    odd = sorted(live.keys() ^ tensors.keys()) or sorted(
        name for name, parameter in live.items() if shape_of(parameter) != tensors[name].shape
    )
    if odd:
        raise DataError(
            ErrorCode.CHECKPOINT_INCOMPATIBLE,
            f"checkpoint {where.name} is of another adapter: {odd[0]} and {len(odd) - 1} more do not fit",
            "put the adapter's settings back into the recipe, or start a new run with --resume never",
            details={"tensor": odd[0]},
        )
    for name, parameter in live.items():
        put(parameter, tensors[name])


def save_tensors(directory: Path, model: nn.Module, optimizer: OptimizerSet, *, writes: bool = True) -> None:
    """Write both files, where this process `writes`; OSError as the system gives it.

    Of a model that is shared out every process must come here.
    """
    trained = trained_names(model)
    state = model.state_dict().items()
    weights = {name: whole(tensor).cpu() for name, tensor in state if name in trained}
    moments = {name: whole(tensor).cpu() for name, tensor in optimizer.state_tensors().items()}
    if not writes:
        return
    write_safetensors(directory / MODEL_NAME, weights)
    write_safetensors(directory / OPTIMIZER_NAME, moments)


def load_tensors(directory: Path, model: nn.Module, optimizer: OptimizerSet) -> None:
    """Read both back; DataError(CORRUPTION, CHECKPOINT_INCOMPATIBLE)."""
    try:
        weights, moments = load_file(directory / MODEL_NAME), load_file(directory / OPTIMIZER_NAME)
    except Exception as error:  # safetensors raises its own untyped error class for any damage
        raise corrupt(directory, f"its tensors cannot be read: {error}") from error
    put_trained(model, weights, directory)
    if moments:
        optimizer.load_state_tensors(moments)
