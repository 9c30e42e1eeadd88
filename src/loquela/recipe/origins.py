"""Where each value of a recipe came from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.recipe.schema import Recipe

OriginKind = Literal["default", "file", "environment", "set", "derived"]


class Origin(BoundaryModel):
    """`where` is file:line, the variable, the option, or the reason of a derived value; empty for a default."""

    kind: OriginKind
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}" if self.where else self.kind


class ResolvedRecipe(BoundaryModel):
    """A recipe that holds, with the origin of every value by dotted key."""

    recipe: Recipe
    origins: dict[str, Origin] = Field(default_factory=dict)

    def derived(self) -> dict[str, Origin]:
        """The keys that the size dial filled in, with the reasons that start-up prints."""
        return {key: origin for key, origin in self.origins.items() if origin.kind == "derived"}
