"""What the recipe asks for is what the live parts do: read from model and optimizer, not from what they were given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from pydantic import JsonValue
from torch import nn

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.subject import Subject
from loquela.recipe.finetune_section import FinetuneSection, LoraOptions

NAME = "effective_settings"
# PEFT names what belongs to one adapter after it; ours has the name that PEFT gives by default.
ADAPTER = "default"


@dataclass
class _Compared:
    """Recipe key → what holds; and which of them are not what was asked for."""

    effective: dict[str, JsonValue] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, requested: JsonValue, effective: JsonValue, holds: bool) -> None:
        self.effective[key] = effective
        if not holds:
            self.wrong[key] = f"finetune.{key} is {requested} and {effective} holds"


def prove_settings(subject: Subject) -> Proof:
    """Adapter, quantisation, optimizer and every setting that the training itself reports, against the recipe."""
    compared = _Compared()
    settings = subject.settings
    if settings.method != "full":
        _compare_adapter(subject.model, settings.lora, compared)
    _compare_quantization(subject.model, settings, compared)
    _compare_optimizer(subject, compared)
    requested = _flat(settings.model_dump(mode="json"))
    for key, value in subject.effective_settings().items():
        asked = requested.get(key, value)
        compared.add(key, asked, value, asked in ("auto", None) or asked == value)
    wrong = list(compared.wrong.values())
    return Proof(
        name=NAME,
        passed=not wrong,
        message="; ".join(wrong) or f"{len(compared.effective)} settings hold as asked for",
        remedy="ask for what holds, or install what is missing: loquela doctor says what this machine can do",
        code=ErrorCode.INVALID_STATE,
        numbers={"effective": dict(compared.effective), "wrong": list(compared.wrong)},
    )


def _compare_adapter(model: nn.Module, lora: LoraOptions, compared: _Compared) -> None:
    layers = [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]
    layers = [(name, module) for name, module in layers if _of_adapter(module, "scaling") is not None]
    ranks = {_of_adapter(module, "r") for _, module in layers}
    # Where transformers holds two matrices of all experts as one, PEFT gives that one the rank of both.
    held_ranks = lora.rank in ranks and all(isinstance(rank, int) and rank % lora.rank == 0 for rank in ranks)
    compared.add("lora.rank", lora.rank, _set(ranks), held_ranks)
    scale = lora.alpha / (math.sqrt(lora.rank) if lora.rslora else lora.rank)
    scales = {_of_adapter(module, "scaling") for _, module in layers}
    scaled = all(isinstance(each, int | float) and math.isclose(each, scale) for each in scales) and bool(scales)
    compared.add("lora.alpha", lora.alpha, f"a scale of {_set(scales)}", scaled)
    shares = {_dropout_of(module) for _, module in layers}
    compared.add("lora.dropout", lora.dropout, _set(shares), shares == {lora.dropout})
    dora = [name for name, _ in model.named_parameters() if "lora_magnitude_vector" in name.split(".")]
    compared.add("lora.dora", lora.dora, len(dora) == len(layers) and bool(dora), bool(dora) == lora.dora)
    active = [_enabled(module) for _, module in layers]
    compared.add(
        "method", "an adapter in use", f"{sum(active)} of {len(layers)} updates on", all(active) and bool(active)
    )
    if lora.target_modules != "all-linear":
        reached = {wanted for wanted in lora.target_modules for name, _ in layers if _names(name, wanted)}
        missing = sorted(set(lora.target_modules) - reached)
        compared.add("lora.target_modules", ", ".join(lora.target_modules), ", ".join(sorted(reached)), not missing)


def _compare_quantization(model: nn.Module, settings: FinetuneSection, compared: _Compared) -> None:
    states = [
        state for parameter in model.parameters() if (state := getattr(parameter, "quant_state", None)) is not None
    ]
    kinds = {str(getattr(state, "quant_type", "?")) for state in states}
    if settings.method == "qlora":
        compared.add(
            "quantization.type", settings.quantization.type, _set(kinds), kinds == {settings.quantization.type}
        )
        double = {bool(getattr(state, "nested", False)) for state in states}
        compared.add(
            "quantization.double", settings.quantization.double, _set(double), double == {settings.quantization.double}
        )
        return
    eight_bit = any(parameter.dtype == torch.int8 for parameter in model.parameters())
    held = "int8" if eight_bit else _set(kinds) if kinds else "not quantised"
    compared.add("method", settings.method, held, not kinds and eight_bit == (settings.method == "int8_lora"))


def _compare_optimizer(subject: Subject, compared: _Compared) -> None:
    settings = subject.settings
    optimizer = subject.new_optimizer(settings.learning_rate)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    learning = [(name, each) for name, each in subject.model.named_parameters() if each.requires_grad]
    missing = [name for name, parameter in learning if id(parameter) not in held]
    says = f"{len(learning) - len(missing)} of {len(learning)} trained tensors in {type(optimizer).__name__}"
    compared.add("optimizer", settings.optimizer, says, not missing)
    rates = {float(group["lr"]) for group in optimizer.param_groups}
    compared.add("learning_rate", settings.learning_rate, _set(rates), rates == {settings.learning_rate})
    decays = {float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups}
    compared.add("weight_decay", settings.weight_decay, _set(decays), settings.weight_decay in decays)


def _of_adapter(module: nn.Module, attribute: str) -> JsonValue:
    values = getattr(module, attribute, None)
    if not isinstance(values, Mapping):
        return None
    value = values.get(ADAPTER)
    return value if isinstance(value, int | float) else None


def _dropout_of(module: nn.Module) -> float:
    layers = getattr(module, "lora_dropout", None)
    layer = layers[ADAPTER] if isinstance(layers, nn.ModuleDict) and ADAPTER in layers else None
    share = getattr(layer, "p", 0.0)
    return float(share)


def _enabled(module: nn.Module) -> bool:
    off = bool(getattr(module, "disable_adapters", False)) or bool(getattr(module, "merged", False))
    return not off and ADAPTER in (getattr(module, "active_adapters", None) or [])


def _names(module_name: str, wanted: str) -> bool:
    return module_name == wanted or module_name.endswith(f".{wanted}")


def _set(values: set[JsonValue] | set[float] | set[bool] | set[str]) -> JsonValue:
    """The one value, or all of them as text."""
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(sorted(str(value) for value in values)) or "nothing"


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found
