"""What a recipe's training takes, made where it is not there yet."""

from __future__ import annotations

from pathlib import Path

from loquela.recipe.origins import ResolvedRecipe
from loquela.recipe.schema import Recipe
from loquela.runs.execution import execute
from loquela.runs.places import artifact_of
from loquela.runs.prerequisites import fit_to_device
from loquela.runs.store import RunStore
from loquela.stages import STAGES, stage_for, stages_until


def training_inputs(resolved: ResolvedRecipe, resume: str) -> tuple[Recipe, dict[str, Path]]:
    """The recipe as this machine trains it, and the folder of every artifact that the training takes.

    A run that has them all is only read; else they are made as by `execute`, whose errors pass through.
    """
    recipe = fit_to_device(resolved).recipe
    training = stage_for("train", recipe)
    makers = {kind: _maker(kind, recipe) for kind in training.inputs_of(recipe)}
    last = max(makers.values(), key=[stage.name for stage in STAGES].index)
    if Path(resume).is_dir():
        directory = RunStore(recipe.output_directory).open(resume)
    else:
        directory = execute(resolved, resume=resume, until=last).directory
    return recipe, {kind: artifact_of(directory, maker) for kind, maker in makers.items()}


def _maker(kind: str, recipe: Recipe) -> str:
    """The stage that makes `kind` for this recipe."""
    rows = stages_until(stage_for("train", recipe).name, recipe)
    return next(stage.name for stage in rows if stage.makes == kind)
