"""Which run to go on with: asked, automatic, named, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loquela.core.errors import LoquelaError
from loquela.recipe.schema import Recipe
from loquela.runs.cache import stage_settings
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import Phase, load_status
from loquela.runs.store import RunStore
from loquela.stages import STAGES

Ask = Callable[[str], bool]


def choose_run(store: RunStore, recipe: Recipe, resume: str, ask: Ask | None) -> Path | None:
    """The folder of the run to resume, or None for a new one.

    `resume`: "never"; "auto" takes the newest run of this name that is unfinished, or finished with a model that this
    recipe would make again (what follows the training is made anew where it differs); "ask" asks when there is one
    with checkpoints (nobody to ask: a new run); anything else is a run id, prefix or path, and
    RecipeError(RUN_NOT_FOUND) says when there is none.
    """
    if resume == "never":
        return None
    if resume not in ("auto", "ask"):
        return store.open(resume)
    if resume == "auto" or recipe.resume_from_checkpoint:
        return next((run for run in candidates(store, recipe) if not _finished(run) or _same_model(run, recipe)), None)
    with_checkpoints = [run for run in candidates(store, recipe) if not _finished(run) and has_checkpoints(run)]
    if not with_checkpoints or ask is None:
        return None
    newest = with_checkpoints[0]
    return newest if ask(f"{newest.name} was not finished and has checkpoints. Go on with it?") else None


def candidates(store: RunStore, recipe: Recipe) -> list[Path]:
    """Readable runs of the recipe's name, newest first, without those that another run has replaced."""
    named = [run for run in store.directories() if run.name.rsplit("-", 3)[0] == recipe.name]
    return [run for run in named if _readable(run) and load_status(run).replaced_by is None]


def same_settings(one: Recipe, two: Recipe) -> bool:
    """Whether two recipes make the same: every value that some stage depends on is equal."""
    return all(stage_settings(one, stage) == stage_settings(two, stage) for stage in STAGES)


def has_checkpoints(run_directory: Path) -> bool:
    """Whether the run has at least one checkpoint folder."""
    folder = run_directory / "checkpoints"
    return folder.is_dir() and any(entry.name.isdigit() for entry in folder.iterdir())


def _finished(run_directory: Path) -> bool:
    return load_status(run_directory).current_phase is Phase.COMPLETE


def _same_model(run_directory: Path, recipe: Recipe) -> bool:
    """Whether every value that some stage up to the training depends on is equal."""
    last = max(place for place, stage in enumerate(STAGES) if stage.phase == Phase.MODEL_TRAINING)
    try:
        before = load_run_manifest(run_directory).recipe
    except LoquelaError:
        return False
    return all(stage_settings(before, stage) == stage_settings(recipe, stage) for stage in STAGES[: last + 1])


def _readable(run_directory: Path) -> bool:
    try:
        load_status(run_directory)
    except LoquelaError:
        return False
    return True
