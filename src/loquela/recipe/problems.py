"""What is wrong with a recipe: every problem at once, each with its place, key and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError


@dataclass(frozen=True)
class Problem:
    """`where` is file:line, variable or option; `key` the dotted path, empty when the whole text is meant."""

    where: str
    key: str
    text: str
    remedy: str

    def line(self) -> str:
        """Place, key and text on one line."""
        return ": ".join(part for part in (self.where, self.key, self.text) if part)

    def as_json(self) -> dict[str, JsonValue]:
        """The same for `--json` and the API."""
        return {"where": self.where, "key": self.key, "message": self.text, "remedy": self.remedy}


def recipe_error(problems: Sequence[Problem], code: ErrorCode = ErrorCode.CONFIG_INVALID) -> RecipeError:
    """One error for all problems of a recipe."""
    details: dict[str, JsonValue] = {"problems": [problem.as_json() for problem in problems]}
    if len(problems) == 1:
        return RecipeError(code, problems[0].line(), problems[0].remedy, details=details)
    lines = [f"{problem.line()}\n      to mend it: {problem.remedy}" for problem in problems]
    return RecipeError(
        code,
        f"the recipe has {len(problems)} problems:\n  " + "\n  ".join(lines),
        "mend each of them; `loquela validate` shows what is left",
        details=details,
    )
