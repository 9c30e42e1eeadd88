"""A run: the same execution as the command line's, under the id that was given out."""

from __future__ import annotations

from pydantic import Field, JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.jobs.records import JsonObject
from loquela.recipe.loading import complete_recipe
from loquela.recipe.schema import Recipe
from loquela.runs.execution import execute
from loquela.worker.folders import JobRequest


class RunSpec(BoundaryModel):
    """What is executed: a recipe's values, and the stage to stop after; None: to its end."""

    recipe: dict[str, JsonValue] | None
    until: str | None = None
    openai: dict[str, JsonValue] | None = Field(None, description="the request, where it came in OpenAI's format")


def perform(request: JobRequest) -> JsonObject:
    """Execute the recipe below the service's data folder; errors as `execute`."""
    spec = RunSpec.model_validate(request.spec)
    record = execute(complete_recipe(recipe_of(request, spec)), until=spec.until, run_id=request.run_id)
    return {
        "run_id": record.run_id,
        "phase": record.status.current_phase,
        "metrics": record.manifest.metrics_summary,
    }


def recipe_of(request: JobRequest, spec: RunSpec) -> Recipe:
    """The recipe, with this service's data folder; DataError(CORRUPTION) where it was not known when it was found."""
    if spec.recipe is None:
        raise DataError(
            ErrorCode.CORRUPTION,
            f"nobody knows the recipe of run {request.run_id}: it was found without a manifest that could be read",
            "send its recipe as a new run; its checkpoints stay where they are",
        )
    recipe = Recipe.model_validate(spec.recipe)
    recipe.output_directory = request.data
    return recipe
