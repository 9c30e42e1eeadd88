"""A tokenizer: a run that ends when its tokenizer is trained and measured on held-out text."""

from __future__ import annotations

from loquela.jobs.records import JsonObject
from loquela.recipe.loading import complete_recipe
from loquela.runs.execution import execute
from loquela.worker.folders import JobRequest
from loquela.worker.performers.run import RunSpec, recipe_of

STAGE = "tokenizer"


def perform(request: JobRequest) -> JsonObject:
    """Train it under the id that was given out; what it does to held-out text is the result. Errors as `execute`."""
    recipe = recipe_of(request, RunSpec.model_validate(request.spec))
    record = execute(complete_recipe(recipe), until=STAGE, run_id=request.run_id)
    made = record.manifest.stages[STAGE]
    return {"tokenizer_id": request.run_id, "digest": made.digest, "reused": made.reused, "statistics": made.facts}
