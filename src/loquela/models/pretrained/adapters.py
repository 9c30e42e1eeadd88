"""Low-rank adapters of PEFT on a base: attached anew or from a folder, read out, counted, saved; wrong ones refused."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch
from pydantic import JsonValue, TypeAdapter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loquela.artifacts.base import Base, write_base
from loquela.core.atomic import atomic_path, write_json
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.core.near_names import unknown_name
from loquela.models.pretrained.adapter_files import ADAPTER_CONFIG_NAME, ADAPTER_WEIGHTS_NAME, adapter_settings
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.failures import unusable, unusable_adapter
from loquela.models.pretrained.lora_layer import custom_modules
from loquela.models.pretrained.safetensors_headers import read_headers
from loquela.recipe.finetune_section import LoraOptions

EXTRA = "finetune"
PURPOSE = "an adapter on a base"
# What PEFT can put an adapter beside: the linear layers of torch and bitsandbytes, and GPT-2's transposed ones.
LINEAR = ("Linear", "Linear4bit", "Linear8bitLt", "Conv1D")
OUTPUT = "lm_head"

_SETTINGS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class PeftSettings(Protocol):
    """An adapter's configuration."""

    def to_dict(self) -> dict[str, object]:
        """As adapter_config.json has it, with sets."""


class PeftHandle(Protocol):
    """What we ask of PEFT's model besides being a module."""

    peft_config: Mapping[str, PeftSettings]

    def disable_adapter(self) -> AbstractContextManager[None]:
        """The base alone."""

    def merge_and_unload(self, *, safe_merge: bool) -> nn.Module:
        """The network with the adapter's updates in its weights; this model is taken apart by it."""


@dataclass(frozen=True)
class TrainableSummary:
    """What learns: numbers that are trained, numbers of the base that are not, trained ones by kind of module."""

    trained: int
    frozen: int
    by_module: dict[str, int]

    @property
    def share(self) -> float:
        """Trained numbers over all."""
        return self.trained / (self.trained + self.frozen)


class AdaptedModel(CausalModel):
    """A base with an adapter; `module` is PEFT's model."""

    def __init__(self, module: nn.Module, handle: PeftHandle, model: CausalModel) -> None:
        super().__init__(module, model.network, model.base, model.facts)
        self.handle = handle

    @contextmanager
    def adapter_off(self) -> Iterator[None]:
        """Within, the model is its base alone."""
        with self.handle.disable_adapter():
            yield


def attach_new(model: CausalModel, options: LoraOptions, *, seed: int = 0) -> AdaptedModel:
    """`model` with a new adapter that changes nothing yet; the base's own weights no longer learn.

    Raises RecipeError(CONFIG_INVALID) for a target module that the network has not, with the nearest name.
    """
    targets = target_modules(model, options)
    peft = _peft()
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=targets,
        use_rslora=options.rslora,
        use_dora=options.dora,
        fan_in_fan_out=model.base.identity.model_type == "gpt2",
    )
    if model.facts.quantization is None and not options.dora:
        config._register_custom_module(custom_modules(require("peft.tuners.lora.layer", extra=EXTRA, purpose=PURPOSE)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _wrapped(peft, model, config)


def attach_saved(model: CausalModel, folder: Path, *, trainable: bool = False) -> AdaptedModel:
    """`model` with the adapter in `folder`.

    Raises DataError: CHECKPOINT_INCOMPATIBLE when it was trained on another base (its base.json says so),
    PRETRAINED_LOAD_FAILED for pickles, other kinds of adapters, and tensors that do not fit, CORRUPTION for cut files.
    """
    settings = adapter_settings(folder, model.base.identity)
    peft = _peft()
    _refuse_unknown(peft, folder, settings)
    config: object = peft.PeftConfig.from_peft_type(**{**settings, "inference_mode": not trainable})
    adapted = _wrapped(peft, model, config)
    expected = {name: tuple(tensor.shape) for name, tensor in adapter_tensors(adapted).items()}
    found = {name: tensor.shape for name, tensor in read_headers(folder / ADAPTER_WEIGHTS_NAME).items()}
    odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if odd:
        raise unusable_adapter(
            folder,
            f"{odd[0]} is {_shape(found.get(odd[0]))} in the file and {_shape(expected.get(odd[0]))} in the network",
            "give the base that the adapter was trained on",
        )
    peft.set_peft_model_state_dict(adapted.module, load_file(folder / ADAPTER_WEIGHTS_NAME))
    adapted.module.train(trainable)
    return adapted


def adapter_tensors(adapted: AdaptedModel) -> dict[str, Tensor]:
    """The adapter's tensors under the names that PEFT writes; they are the live ones."""
    tensors: dict[str, Tensor] = _peft().get_peft_model_state_dict(adapted.module, save_embedding_layers=False)
    return tensors


def save_adapter(adapted: AdaptedModel, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
    """Write adapter_config.json, adapter_model.safetensors (as plain PEFT reads them) and base.json into `folder`.

    `weights`, by the names of `adapter_tensors`, are written instead of the live ones. Raises ResourceError when
    the file system refuses.
    """
    identity = adapted.base.identity
    settings = {**_plain(adapted.handle), **_where(adapted.base)}
    live = adapter_tensors(adapted) if weights is None else weights
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in live.items()}
    with atomic_path(folder / ADAPTER_WEIGHTS_NAME) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_base(folder, identity.model_copy(update={"location": str(adapted.base.folder.resolve())}))
    write_json(folder / ADAPTER_CONFIG_NAME, settings)


def trainable_summary(model: CausalModel) -> TrainableSummary:
    """What learns in `model`, counted."""
    by_module: dict[str, int] = {}
    of_base = 0
    for name, parameter in model.module.named_parameters():
        if parameter.requires_grad:
            kind = _kind(name)
            by_module[kind] = by_module.get(kind, 0) + parameter.numel()
            of_base += 0 if _is_added(name) else parameter.numel()
    frozen = model.base.identity.parameters - of_base
    return TrainableSummary(sum(by_module.values()), frozen, dict(sorted(by_module.items())))


def target_modules(model: CausalModel, options: LoraOptions) -> str | list[str]:
    """What PEFT is told to adapt; RecipeError(CONFIG_INVALID) for a name that no linear layer ends in."""
    if options.target_modules == "all-linear":
        return "all-linear"
    linear = [name for name, module in model.network.named_modules() if type(module).__name__ in LINEAR]
    known = {name.rpartition(".")[2] for name in linear}
    for target in options.target_modules:
        if not any(name == target or name.endswith("." + target) for name in linear):
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"finetune.lora.target_modules: {unknown_name('module', target, known)}",
                "write target_modules: all-linear, or names of the list",
            )
        if target == OUTPUT and model.base.identity.tied:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"finetune.lora.target_modules: {OUTPUT} of this base is its embedding, which an adapter would change",
                f"leave {OUTPUT} out of target_modules",
            )
    return list(options.target_modules)


def _refuse_unknown(peft: ModuleType, folder: Path, settings: dict[str, JsonValue]) -> None:
    """PEFT leaves out what it does not know, with a warning; a setting that is in use may not be lost."""
    known = {field.name for field in dataclasses.fields(peft.LoraConfig)}
    lost = sorted(name for name in settings.keys() - known if settings[name])
    if lost:
        raise unusable_adapter(
            folder,
            f"{ADAPTER_CONFIG_NAME} has {lost[0]}, which the installed PEFT {peft.__version__} does not know",
            "install the PEFT that wrote it",
        )


def _peft() -> ModuleType:
    return require("peft", extra=EXTRA, purpose=PURPOSE)


def _wrapped(peft: ModuleType, model: CausalModel, config: object) -> AdaptedModel:
    try:
        training = model.network.training
        with warnings.catch_warnings():
            # PEFT tells of a base that it names by its folder, which `save_adapter` puts right, and of transformers.
            warnings.simplefilter("ignore")
            made = peft.get_peft_model(model.network, config)
        made.train(training)
    except ValueError as error:
        raise unusable(model.base.folder, f"PEFT cannot adapt it: {error}") from error
    return AdaptedModel(made, made, model)


def _where(base: Base) -> dict[str, JsonValue]:
    """Where plain PEFT finds the base: its name and commit on the hub, else the folder of its files."""
    identity = base.identity
    if identity.kind == "hub":
        return {"base_model_name_or_path": identity.source, "revision": identity.revision}
    return {"base_model_name_or_path": str(base.folder.resolve()), "revision": None}


def _plain(handle: PeftHandle) -> dict[str, JsonValue]:
    """The adapter's configuration as PEFT would write it, with sets as sorted lists."""
    raw = handle.peft_config["default"].to_dict().items()
    settings = {key: sorted(map(str, value)) if isinstance(value, (set, frozenset)) else value for key, value in raw}
    return _SETTINGS.validate_python({**dict(sorted(settings.items())), "inference_mode": True})


def _is_added(name: str) -> bool:
    return "lora_" in name or ".modules_to_save." in name


def _kind(name: str) -> str:
    """q_proj of model.layers.3.self_attn.q_proj.lora_A.default.weight."""
    parts = [part for part in name.split(".") if not part.isdigit()]
    for position, part in enumerate(parts):
        if part.startswith("lora_"):
            return parts[position - 1]
    return parts[-2] if len(parts) > 1 else parts[0]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(list(shape))
