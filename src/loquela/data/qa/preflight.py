"""Can a model be asked at all? Price, SDK and credential are there, before anything is downloaded."""

from __future__ import annotations

from loquela.artifacts.proof import Proof
from loquela.core.errors import LoquelaError
from loquela.data.qa.providers.models import model_name
from loquela.data.qa.providers.open import endpoint_of, facts_of, open_provider
from loquela.recipe.model_access import ModelAccess
from loquela.recipe.schema import Recipe


def check_provider(recipe: Recipe) -> list[Proof]:
    """One proof for each section of the recipe that asks a model, with no request made."""
    proofs = []
    if recipe.qa is not None:
        proofs.append(_checked(recipe.qa, "questions and answers", recipe.qa.judge_model))
    rewriting = None if recipe.examples is None else recipe.examples.augment.rewriting
    if rewriting is not None:
        proofs.append(_checked(rewriting, "rewordings"))
    return proofs


def _checked(section: ModelAccess, what: str, *more: str | None) -> Proof:
    name = f"{what} from {section.provider}"
    try:
        open_provider(section, facts_of(section, *more)).close()
    except LoquelaError as error:
        return Proof(
            name=name,
            passed=False,
            message=error.message,
            remedy=error.remedy,
            code=error.code,
            numbers=error.details,
        )
    asked = "no model is asked" if section.provider == "offline" else f"{model_name(section)} at {endpoint_of(section)}"
    return Proof(name=name, passed=True, message=asked, numbers={"max_cost_usd": section.max_cost_usd})
