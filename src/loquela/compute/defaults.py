"""What a CUDA device wants where the recipe leaves it open: loader workers, pinned memory, batch size."""

from __future__ import annotations

from loquela.recipe.schema import ModelFamily

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
