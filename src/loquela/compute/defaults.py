"""What a CUDA device wants where the recipe leaves it open: loader workers, pinned memory, batch size."""

from __future__ import annotations

import torch

from loquela.recipe.origins import Origin, ResolvedRecipe
from loquela.recipe.schema import ModelFamily, Recipe

MAXIMUM_LOADER_WORKERS = 4
# Smaller batches leave a GPU idle between kernels.
CUDA_BATCH_SIZES: dict[ModelFamily, int] = {"transformer": 32, "lstm": 64}
CUDA_BATCH_SIZE_OTHER = 16


def loader_workers(device: str, cores: int, wish: int | None) -> int:
    """Worker count of the batch loader: the recipe's, else min(4, cores) on CUDA and 0 elsewhere."""
    if wish is not None:
        return wish
    return min(MAXIMUM_LOADER_WORKERS, cores) if device == "cuda" else 0


def default_batch_size(device: str, family: ModelFamily, batch_size: int) -> int:
    """The batch size to use where the recipe did not write one: a small one is raised on CUDA, never lowered.

    A batch size that somebody wrote is not to be passed here: it is theirs.
    """
    if device != "cuda":
        return batch_size
    return max(batch_size, CUDA_BATCH_SIZES.get(family, CUDA_BATCH_SIZE_OTHER))


def with_device_defaults(resolved: ResolvedRecipe) -> ResolvedRecipe:
    """`resolved` with the batch size that its device wants, where nobody wrote one, and the reason as its origin.

    The accumulation, where nobody wrote it either, keeps the rows of an optimizer step as near as it can.
    """
    recipe = resolved.recipe
    on_cuda = recipe.compute.device in ("auto", "cuda") and torch.cuda.is_available()
    size = default_batch_size("cuda" if on_cuda else "cpu", recipe.model.family, recipe.train.batch_size)
    if size == recipe.train.batch_size or not _left_open(resolved, "train.batch_size"):
        return resolved
    rows = recipe.train.batch_size * recipe.train.gradient_accumulation_steps
    chosen = {"batch_size": size}
    if _left_open(resolved, "train.gradient_accumulation_steps"):
        chosen["gradient_accumulation_steps"] = max(1, round(rows / size))
    values = recipe.model_dump()
    values["train"].update(chosen)
    reason = f"on CUDA fewer than {size} rows of a {recipe.model.family} leave it waiting; it was {rows} rows a step"
    origins = {f"train.{key}": Origin(kind="derived", where=reason) for key in chosen}
    return ResolvedRecipe(recipe=Recipe.model_validate(values), origins={**resolved.origins, **origins})


def _left_open(resolved: ResolvedRecipe, key: str) -> bool:
    return resolved.origins.get(key, Origin(kind="default")).kind in ("default", "derived")
