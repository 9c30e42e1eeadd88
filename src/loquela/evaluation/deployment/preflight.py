"""Is there anything to check, before a model is trained for it?"""

from __future__ import annotations

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.recipe.schema import Recipe


def check_targets(recipe: Recipe) -> list[Proof]:
    """One proof for a recipe with `deploy`: it needs an export to hold to it."""
    if recipe.deploy is None:
        return []
    targets = [] if recipe.export is None else recipe.export.targets
    names = ", ".join(target.name for target in targets)
    return [
        Proof(
            name="deployment check",
            passed=bool(targets),
            message=f"will check {names}" if targets else "the recipe has a section deploy, but exports nothing",
            remedy="" if targets else "name an export under export.targets, or remove deploy",
            code=ErrorCode.CONFIG_INVALID,
        )
    ]
