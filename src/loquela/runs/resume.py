"""Which run to go on with: asked, automatic, named, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loquela.core.errors import LoquelaError
from loquela.recipe.schema import Recipe
from loquela.runs.status import Phase, load_status
from loquela.runs.store import RunStore

Ask = Callable[[str], bool]


def choose_run(store: RunStore, recipe: Recipe, resume: str, ask: Ask | None) -> Path | None:
    """The folder of the run to resume, or None for a new one.

    `resume`: "never"; "auto" takes the newest run of this name that is unfinished, or finished under the same
    recipe; "ask" asks when there is one with checkpoints (nobody to ask: a new run); anything else is a run id,
    prefix or path, and RecipeError(RUN_NOT_FOUND) says when there is none.
    """
    if resume == "never":
        return None
    if resume not in ("auto", "ask"):
        return store.open(resume)
    unfinished = [run for run in candidates(store, recipe) if load_status(run).current_phase is not Phase.COMPLETE]
    if resume == "auto" or recipe.resume_from_checkpoint:
        finished = [run for run in candidates(store, recipe) if run not in unfinished]
        return next(iter([*unfinished, *finished]), None)
    with_checkpoints = [run for run in unfinished if has_checkpoints(run)]
    if not with_checkpoints or ask is None:
        return None
    newest = with_checkpoints[0]
    return newest if ask(f"{newest.name} was not finished and has checkpoints. Go on with it?") else None


def candidates(store: RunStore, recipe: Recipe) -> list[Path]:
    """Readable runs of the recipe's name, newest first."""
    return [run for run in store.directories() if run.name.rsplit("-", 3)[0] == recipe.name and _readable(run)]


def has_checkpoints(run_directory: Path) -> bool:
    """Whether the run has at least one checkpoint folder."""
    folder = run_directory / "checkpoints"
    return folder.is_dir() and any(entry.name.isdigit() for entry in folder.iterdir())


def _readable(run_directory: Path) -> bool:
    try:
        load_status(run_directory)
    except LoquelaError:
        return False
    return True
