"""A run: the same execution as the command line's, under the id that was given out."""

from __future__ import annotations

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.jobs.records import JsonObject
from loquela.recipe.loading import complete_recipe
from loquela.recipe.schema import Recipe
from loquela.runs.execution import execute
from loquela.worker.folders import JobRequest


class RunSpec(BoundaryModel):
    """What is executed: a recipe's values, and the stage to stop after; None: to its end."""

    recipe: dict[str, JsonValue]
    until: str | None = None
    openai: dict[str, JsonValue] | None = Field(None, description="the request, where it came in OpenAI's format")


def perform(request: JobRequest) -> JsonObject:
    """Execute the recipe below the service's data folder; errors as `execute`."""
    spec = RunSpec.model_validate(request.spec)
    recipe = Recipe.model_validate(spec.recipe)
    recipe.output_directory = request.data
    record = execute(complete_recipe(recipe), until=spec.until, run_id=request.run_id)
    return {
        "run_id": record.run_id,
        "phase": record.status.current_phase,
        "metrics": record.manifest.metrics_summary,
    }
