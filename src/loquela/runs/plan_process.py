"""`python -m loquela.runs.plan_process`: a recipe as JSON on stdin, its plan or the error as JSON on stdout."""

from __future__ import annotations

import json
import sys

from pydantic import JsonValue

from loquela.core.carried_error import CarriedError
from loquela.core.errors import LoquelaError
from loquela.recipe.schema import Recipe
from loquela.runs.plan import plan_run


def main() -> None:
    """Answer once."""
    answer: dict[str, JsonValue]
    try:
        plan = plan_run(Recipe.model_validate_json(sys.stdin.read()))
        answer = {"plan": plan.model_dump(mode="json") if plan is not None else None}
    except LoquelaError as error:
        answer = {"error": CarriedError.of(error).model_dump(mode="json")}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
