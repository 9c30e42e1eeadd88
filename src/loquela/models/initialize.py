"""The ModelInitializer: a network from its configuration, with random weights or those of a Hugging Face folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.models.build import build_model, empty_model
from loquela.models.config import RecurrentConfig, TransformerConfig, model_config
from loquela.models.contract import LanguageModel
from loquela.models.contracts import (
    InitializerErrorCode,
    ModelInitializerError,
    ModelInitializerRequest,
    ModelInitializerResult,
)
from loquela.models.folder import load_model, read_config
from loquela.models.size import parameter_count
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import ModelSection

COMPONENT = "ModelInitializer"
Config = TransformerConfig | RecurrentConfig
# What a recipe's model section does not name is taken from the folder; dropout may be chosen anew for training.
FOLDER_DECIDES = ("norm_epsilon", "rotary_base", "rotary_scaling", "unrotated_every", "head_dim")
MAY_DIFFER = ("dropout",)


@dataclass
class Initialized:
    """The network and the component's result."""

    model: LanguageModel
    result: ModelInitializerResult


def initialize_model(config: Config, seed: int, bus: Bus, pretrained_path: Path | None = None) -> Initialized:
    """A network on the CPU with random weights from `seed`, or with those of the folder `pretrained_path`.

    Raises DataError(PRETRAINED_LOAD_FAILED) naming every part of the folder's network that differs from `config`,
    and ResourceError(OOM) when the weights do not fit into memory.
    """
    count = parameter_count(config)
    trace(bus, COMPONENT, "architecture_defined", parameters=count, **config.model_dump(mode="json"))
    try:
        model = build_model(config, seed) if pretrained_path is None else pretrained_model(config, pretrained_path)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(count) from error
    except RuntimeError as error:
        if "memory" not in str(error).lower():
            raise
        raise _out_of_memory(count) from error
    method = "random" if pretrained_path is None else "pretrained"
    trace(bus, COMPONENT, "weights_initialized", method=method, seed=seed, source=str(pretrained_path or ""))
    result = ModelInitializerResult(
        parameter_count=count,
        memory_footprint_gb=4 * count / 2**30,
        initialization_successful=True,
        checkpoint_path=str(pretrained_path or ""),
    )
    trace(bus, COMPONENT, "model_ready", model_id=str(result.model_id), parameters=count)
    return Initialized(model, result)


def initialize(request: ModelInitializerRequest, bus: Bus) -> Initialized:
    """`initialize_model` for a request; what a request does not name has the recipe's defaults.

    Raises also RecipeError(ARCHITECTURE_INVALID).
    """
    shape, start = request.architecture, request.initialization
    if start.method == "pretrained" and start.pretrained_path:
        path = Path(start.pretrained_path)
        found = read_config(path)
        _refuse_differences(path, _shape_differences(request, found))
        return initialize_model(found, start.seed, bus, path)
    try:
        section = ModelSection(
            family=shape.model_type,
            num_layers=shape.num_layers,
            d_model=shape.hidden_size,
            num_heads=shape.num_attention_heads,
            dim_feedforward=4 * shape.hidden_size,
        )
    except ValidationError as error:
        raise RecipeError(
            ErrorCode.ARCHITECTURE_INVALID,
            f"the architecture describes no network: {error.errors()[0]['msg']}",
            "change that value of the request",
        ) from error
    return initialize_model(model_config(section, shape.vocab_size), start.seed, bus)


def pretrained_model(config: Config, directory: Path) -> LanguageModel:
    """The network in `directory`, proven to be the one `config` describes, with `config`'s dropout.

    With rotary positions the context may differ: no weight belongs to a position.
    """
    model = load_model(directory)
    found, wanted = model.config.model_dump(), config.model_dump()
    skipped = {*FOLDER_DECIDES, *MAY_DIFFER}
    rotary = isinstance(config, TransformerConfig) and config.positions == "rotary"
    if rotary or isinstance(config, RecurrentConfig):
        skipped.add("max_sequence_length")
    _refuse_differences(
        directory,
        [
            f"{key} is {found.get(key)} there and {wanted.get(key)} here"
            for key in sorted(found.keys() | wanted.keys())
            if key not in skipped and found.get(key) != wanted.get(key)
        ],
    )
    kept = {key: found[key] for key in FOLDER_DECIDES if key in found}
    built = empty_model(config.model_copy(update=kept))
    built.load_state_dict(model.state_dict(), strict=True)
    return built


def error_of(error: LoquelaError) -> ModelInitializerError:
    """The component's error model."""
    codes: dict[ErrorCode, InitializerErrorCode] = {
        ErrorCode.PRETRAINED_LOAD_FAILED: "PRETRAINED_LOAD_FAILED",
        ErrorCode.OOM: "OOM",
    }
    return ModelInitializerError(
        error_code=codes.get(error.code, "ARCHITECTURE_INVALID"), details=f"{error.message}; {error.remedy}"
    )


def _shape_differences(request: ModelInitializerRequest, found: Config) -> list[str]:
    shape = request.architecture
    pairs = [
        ("model_type", found.family, shape.model_type),
        ("num_layers", found.num_layers, shape.num_layers),
        ("hidden_size", found.d_model, shape.hidden_size),
        ("vocab_size", found.vocab_size, shape.vocab_size),
    ]
    if isinstance(found, TransformerConfig):
        pairs.append(("num_attention_heads", found.num_heads, shape.num_attention_heads))
    return [f"{name} is {theirs} there and {ours} here" for name, theirs, ours in pairs if theirs != ours]


def _refuse_differences(directory: Path, differences: list[str]) -> None:
    if not differences:
        return
    raise DataError(
        ErrorCode.PRETRAINED_LOAD_FAILED,
        f"{directory} holds another network: {'; '.join(differences)}",
        "set these keys under model: (and the vocabulary by the folder's own tokenizer) to what the folder has",
        details={"path": str(directory), "differences": list(differences)},
    )


def _out_of_memory(parameters: int) -> ResourceError:
    return ResourceError(
        ErrorCode.OOM,
        f"{parameters:,} parameters need {4 * parameters / 2**30:.2f} GiB, and memory ran out",
        "choose a smaller model.size, or free memory",
        details={"parameters": parameters},
    )
