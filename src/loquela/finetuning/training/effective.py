"""What really holds, read from the live parts, beside what the recipe asked for."""

from __future__ import annotations

from pydantic import JsonValue
from torch import nn

from loquela.core.errors import ErrorCode, RecipeError
from loquela.finetuning.training.attention import NAME
from loquela.finetuning.training.collate import Collator
from loquela.finetuning.training.liger import exchanged
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import ComputeSection
from loquela.training.optimizers import OptimizerSet

# Kernel of transformers → name in a recipe.
KERNELS = {NAME: "sequences"}


def settings_of(
    settings: FinetuneSection, model: CausalModel, collator: Collator, optimizer: OptimizerSet
) -> dict[str, JsonValue]:
    """Recipe key below `finetune` → what holds."""
    kernel = str(getattr(getattr(model.network, "config", None), "_attn_implementation", model.facts.attention))
    found: dict[str, JsonValue] = {
        "attention": KERNELS.get(kernel, kernel),
        "padding_free": collator.layout == "in_sequence",
        "optimizer": optimizer_name(optimizer),
        "learning_rate": optimizer.peak,
        "liger": bool(exchanged(model.network)),
    }
    if model.facts.quantization in ("nf4", "fp4"):
        found["quantization.compute"] = model.facts.compute_dtype
    return found


def check_compute(compute: ComputeSection) -> None:
    """RecipeError(CONFIG_INVALID) for what training from scratch does with these keys and fine-tuning does not."""
    asked = {
        "compile: on": compute.compile == "on",
        f"loader_workers: {compute.loader_workers}": bool(compute.loader_workers),
    }
    for what in (what for what, is_asked in asked.items() if is_asked):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"compute.{what} has no effect on a fine-tuning: its rows lie in memory and its network is not compiled",
            f"leave compute.{what.partition(':')[0]} out of the recipe",
        )


def optimizer_name(optimizer: OptimizerSet) -> str:
    """The recipe's name of a live optimizer, read from its class and, of bitsandbytes, its bits and paging."""
    label, made = next(iter(optimizer.optimizers.items()))
    bits = getattr(getattr(made, "args", None), "optim_bits", None)
    if bits is None:
        return label if type(made).__name__.lower() == label else type(made).__name__
    eight = "_8bit" if bits == 8 else "_32bit"
    return ("paged_" if getattr(made, "is_paged", False) else "") + "adamw" + eight


def require_effective(
    settings: FinetuneSection, effective: dict[str, JsonValue], checkpointing: bool, model: nn.Module
) -> None:
    """RecipeError(CONFIG_INVALID) naming what was asked for and does not hold."""
    asked: dict[str, JsonValue] = {
        "attention": settings.attention,
        "padding_free": settings.padding_free,
        "optimizer": settings.optimizer,
        "liger": settings.liger,
    }
    wrong = [
        f"finetune.{key} is {wanted} and {effective[key]} holds"
        for key, wanted in asked.items()
        if wanted not in ("auto", effective[key])
    ]
    recomputes = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    if recomputes != checkpointing:
        wrong.append(f"compute.gradient_checkpointing is {checkpointing} and {recomputes} holds")
    if wrong:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the recipe asks for what this machine or model does not do: " + "; ".join(wrong),
            "ask for what holds, or leave those keys out",
            details={"effective": effective},
        )
