"""Can this machine fine-tune as the recipe asks, before anything is downloaded or written?"""

from __future__ import annotations

from importlib.util import find_spec

from loquela.artifacts.proof import Proof
from loquela.compute.devices import choose_device
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.core.extras import missing
from loquela.finetuning.training.effective import check_compute
from loquela.finetuning.training.liger import check_liger
from loquela.finetuning.training.optimizers import check_effective
from loquela.finetuning.training.strategy import check_strategy, started_processes
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe

PACKAGES = ("transformers", "trl", "peft", "accelerate", "datasets")
PURPOSE = "fine-tuning"


def check_finetuning(recipe: Recipe) -> list[Proof]:
    """One proof for the packages and one for the settings; none for a recipe that does not fine-tune."""
    section = recipe.finetune
    return [] if section is None else [_packages(section), _settings(recipe, section)]


def needed_packages(section: FinetuneSection) -> list[str]:
    """What the recipe's method and optimizer are made with."""
    quantised = section.method in ("qlora", "int8_lora") or section.optimizer.endswith("bit")
    return [*PACKAGES, *(["bitsandbytes"] if quantised else [])]


def _packages(section: FinetuneSection) -> Proof:
    needed = needed_packages(section)
    absent = [name for name in needed if find_spec(name) is None]
    error = missing(", ".join(absent), extra="finetune", purpose=PURPOSE)
    return Proof(
        name="finetuning packages",
        passed=not absent,
        message=error.message if absent else f"{', '.join(needed)} are installed",
        remedy=error.remedy if absent else "",
        code=ErrorCode.MISSING_EXTRA,
    )


def _settings(recipe: Recipe, section: FinetuneSection) -> Proof:
    try:
        plan = choose_device(recipe.compute, family="transformer")
        check_effective(section, plan.device)
        check_compute(recipe.compute)
        check_liger(section.liger, plan.device)
        processes = started_processes(recipe.compute)
        check_strategy(section, recipe.compute, device=plan.device, precision=plan.precision, processes=processes)
    except LoquelaError as error:
        return Proof(
            name="finetuning settings", passed=False, message=error.message, remedy=error.remedy, code=error.code
        )
    said = f"{section.method} with {section.optimizer} on {plan.device} in {plan.precision}"
    return Proof(name="finetuning settings", passed=True, message=said)
