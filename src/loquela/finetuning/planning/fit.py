"""Make a recipe fit into a memory: smaller micro-batches and recomputed activations, the same rows per step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.core.model import BoundaryModel
from loquela.finetuning.planning.memory import TuningMemory
from loquela.finetuning.planning.plan import GIB, USABLE_SHARE, Materials, fits, memory_for, section_of
from loquela.recipe.schema import Recipe

BATCH = "finetune.batch_size"
ACCUMULATION = "finetune.gradient_accumulation_steps"
CHECKPOINTING = "compute.gradient_checkpointing"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|GB|G)?", re.IGNORECASE)


class Fit(BoundaryModel):
    """What must change; `before` and `after` are the dotted keys with their values, empty when it fits as it is."""

    gib: float
    needed_before_gib: float
    needed_after_gib: float
    before: dict[str, JsonValue]
    after: dict[str, JsonValue]
    effective_batch: int


def parse_gib(text: str) -> float:
    """24GB, 24GiB and 24 are 24 GiB, as makers name their cards; RecipeError for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or float(found.group(1)) <= 0:
        raise RecipeError(ErrorCode.CONFIG_INVALID, f"{text!r} is no size of a memory", "write --fit 24GB")
    return float(found.group(1))


def fit_recipe(recipe: Recipe, materials: Materials, gib: float, device: Literal["cpu", "cuda"] = "cuda") -> Fit:
    """The first of these that fits: the recipe, smaller micro-batches, the same with recomputed activations.

    ResourceError(OOM), naming the largest part, when not even single rows fit.
    """
    section = section_of(recipe)
    before: dict[str, JsonValue] = {
        BATCH: section.batch_size,
        ACCUMULATION: section.gradient_accumulation_steps,
        CHECKPOINTING: recipe.compute.gradient_checkpointing,
    }
    memory = _memory(recipe, materials, before, device)
    needed = round(memory.total / GIB, 2)
    for candidate in _candidates(before):
        memory = _memory(recipe, materials, candidate, device)
        if fits(memory, gib):
            changed = {key: value for key, value in candidate.items() if before[key] != value}
            return Fit(
                gib=gib,
                needed_before_gib=needed,
                needed_after_gib=round(memory.total / GIB, 2),
                before={key: before[key] for key in changed},
                after=changed,
                effective_batch=section.batch_size * section.gradient_accumulation_steps,
            )
    raise ResourceError(
        ErrorCode.OOM,
        f"single rows with recomputed activations still need {memory.total / GIB:.1f} GiB, and {gib:g} GiB offer "
        f"{USABLE_SHARE * gib:.1f}; the largest part is {memory.largest} "
        f"({int(getattr(memory, memory.largest)) / GIB:.1f} GiB)",
        _remedy(recipe, memory),
        details={"memory": memory.model_dump()},
    )


def with_values(recipe: Recipe, values: dict[str, JsonValue]) -> Recipe:
    """`recipe` with these dotted keys set."""
    tree = recipe.model_dump(mode="json")
    for key, value in values.items():
        section, name = key.split(".")
        tree[section][name] = value
    return Recipe.model_validate(tree)


def _candidates(before: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
    """The same number of rows per step, from the largest micro-batch down; first without recomputing, then with."""
    batch, accumulation = int(str(before[BATCH])), int(str(before[ACCUMULATION]))
    rows = batch * accumulation
    for checkpointing in dict.fromkeys((before[CHECKPOINTING], True)):
        for size in range(batch, 0, -1):
            if rows % size == 0:
                yield {BATCH: size, ACCUMULATION: rows // size, CHECKPOINTING: checkpointing}


def _memory(
    recipe: Recipe, materials: Materials, values: dict[str, JsonValue], device: Literal["cpu", "cuda"]
) -> TuningMemory:
    return memory_for(with_values(recipe, values), materials.shape, materials.rows, device)


def _remedy(recipe: Recipe, memory: TuningMemory) -> str:
    section = section_of(recipe)
    if memory.largest in ("weights", "gradients", "optimizer", "adapter"):
        if section.method in ("full", "lora", "int8_lora"):
            return "set finetune.method: qlora, or choose a smaller finetune.base or a larger GPU"
        return "choose a smaller finetune.base or a larger GPU"
    return "lower examples.max_tokens: the longest row decides, or choose a larger GPU"
