"""What must hold before anything is downloaded or written: room, permission, and what other packages check."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from loquela.artifacts.proof import Proof
from loquela.core.entry import resolve
from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from loquela.models.config import model_config
from loquela.models.size import parameter_count
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.origins import ResolvedRecipe
from loquela.recipe.schema import Recipe
from loquela.stages import DEVICE_DEFAULTS, PREFLIGHT, wanted_stages

BUFFER_MB = 100
BYTES_PER_PARAMETER = 4
# Beside the `train.keep_checkpoints` newest: the one that a roll-back goes to, and the one being written.
MORE_CHECKPOINTS = 2
# Weights and the optimizer's two moments, each as large as the parameters.
TENSORS_PER_CHECKPOINT = 3
# Folders with weights alone: `best/` and `final/`.
MODEL_FOLDERS = 2

# What lies in the text itself, not in the machine or the network.
DATA_FAULTS = {
    ErrorCode.DATA_NOT_FOUND,
    ErrorCode.CORRUPT_DATA,
    ErrorCode.ENCODING_ERROR,
    ErrorCode.INSUFFICIENT_DATA,
}

# What the recipe asks for and nobody can do.
RECIPE_FAULTS = {ErrorCode.UNSUPPORTED_FORMAT, ErrorCode.CONFIG_INVALID}

Check = Callable[[Recipe], list[Proof]]


def required_disk_mb(recipe: Recipe) -> float:
    """corpus + parameters × 4 bytes × (3 tensors × (kept checkpoints + 2) + 2 model folders) + 100 MB.

    Never less than the pipeline's published formula, which counts three checkpoints without moments (133 MB for
    2.45M parameters and 3 MB of text): a checkpoint without them does not resume exactly.
    """
    if recipe.finetune is not None:
        return _finetuning_disk_mb(recipe, recipe.finetune)
    parameters = parameter_count(model_config(recipe.model, recipe.tokenizer.vocab_size))
    weights_mb = parameters * BYTES_PER_PARAMETER / 1e6
    checkpoints = recipe.train.keep_checkpoints + MORE_CHECKPOINTS
    copies = TENSORS_PER_CHECKPOINT * checkpoints + MODEL_FOLDERS
    return recipe.data.corpus_size_mb + weights_mb * copies + BUFFER_MB


def _finetuning_disk_mb(recipe: Recipe, section: FinetuneSection) -> float:
    """Text where some is read, copies of a base that lies on this machine, 100 MB; another base is not counted."""
    text_mb = recipe.data.corpus_size_mb if any(stage.name == "ingest" for stage in wanted_stages(recipe)) else 0.0
    base = Path(section.base).expanduser()
    files = [base] if base.is_file() else [path for path in base.glob("*.safetensors") if path.is_file()]
    base_mb = sum(path.stat().st_size for path in files) / 1e6
    # Trained whole, every checkpoint is weights and two moments; an adapter's are small beside the merged model.
    whole = TENSORS_PER_CHECKPOINT * (section.keep_checkpoints + 1) if section.method == "full" else 0
    return text_mb + base_mb * (MODEL_FOLDERS + whole) + BUFFER_MB


def fit_to_device(resolved: ResolvedRecipe) -> ResolvedRecipe:
    """`resolved` with what this machine's device wants where the recipe leaves it open; origins say why."""
    fit: Callable[[ResolvedRecipe], ResolvedRecipe] = resolve(DEVICE_DEFAULTS)
    return fit(resolved)


def check_output(recipe: Recipe) -> list[Proof]:
    """Room and write permission on the file system that will hold the output."""
    directory = existing_ancestor(recipe.output_directory)
    return [_writable(directory), _room(directory, required_disk_mb(recipe))]


def existing_ancestor(path: Path) -> Path:
    """The nearest folder above (or at) `path` that exists: its file system is the one that will be written."""
    path = path.expanduser().absolute()
    while not _reachable(path):
        path = path.parent
    return path


def _reachable(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def _writable(directory: Path) -> Proof:
    passed = directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)
    read_only = bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    return Proof(
        name="write_permission",
        passed=passed and not read_only,
        message=f"{directory} is {'read-only' if read_only else 'writable' if passed else 'not writable'}",
        remedy="give yourself write permission there, or set output_directory to a folder you may write",
        code=ErrorCode.WRITE_PERMISSION,
        numbers={"directory": str(directory)},
    )


def _room(directory: Path, required_mb: float) -> Proof:
    free_mb = shutil.disk_usage(directory).free / 1e6
    return Proof(
        name="disk_space",
        passed=free_mb >= required_mb,
        message=f"{free_mb:,.0f} MB free on the file system of {directory}, {required_mb:,.0f} MB needed",
        remedy=f"free {max(0.0, required_mb - free_mb):,.0f} MB there, or set output_directory to a larger disk",
        code=ErrorCode.DISK_FULL,
        numbers={"free_mb": round(free_mb, 1), "required_mb": round(required_mb, 1)},
    )


def _at_fault(failed: list[Proof]) -> type[DataError] | type[RecipeError] | type[ResourceError]:
    if all(proof.code in DATA_FAULTS for proof in failed):
        return DataError
    return RecipeError if all(proof.code in RECIPE_FAULTS for proof in failed) else ResourceError


def check_prerequisites(recipe: Recipe, *, skip_sources: bool = False) -> list[Proof]:
    """Run every check of the table; an error with all that failed, its code that of the first.

    DataError when only sources are at fault with what they hold, RecipeError when only what the recipe asks for is,
    ResourceError otherwise.
    """
    proofs: list[Proof] = []
    for entry in PREFLIGHT:
        if skip_sources and entry.startswith("loquela.data."):
            continue
        check: Check = resolve(entry)
        proofs.extend(check(recipe))
    failed = [proof for proof in proofs if not proof.passed]
    if failed:
        raise _at_fault(failed)(
            failed[0].code,
            "prerequisites do not hold, nothing was written: " + once_each(proof.message for proof in failed),
            once_each(proof.remedy for proof in failed),
            details={"failed": [proof.model_dump(mode="json") for proof in failed]},
        )
    return proofs


def once_each(sentences: Iterable[str]) -> str:
    """The sentences in order, said once: six sources on one dead host are one problem."""
    return "; ".join(dict.fromkeys(sentences))
