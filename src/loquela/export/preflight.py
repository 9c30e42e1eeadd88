"""Can the model that the recipe describes be exported as the recipe wants, before it is trained?"""

from __future__ import annotations

from loquela.artifacts.proof import Proof
from loquela.core.errors import LoquelaError
from loquela.export.contract import TokenizerFacts
from loquela.export.registry import EXPORTERS
from loquela.models.config import model_config
from loquela.recipe.export_section import ExportTarget
from loquela.recipe.schema import Recipe, TokenizerSection
from loquela.tokenizers.load import method_of


def check_exports(recipe: Recipe) -> list[Proof]:
    """One proof a target; a format that cannot hold this network or tokenizer fails it with the reason."""
    return [] if recipe.export is None else [_proof(recipe, target) for target in recipe.export.targets]


def _proof(recipe: Recipe, target: ExportTarget) -> Proof:
    name = f"export {target.name}"
    config = model_config(recipe.model, recipe.tokenizer.vocab_size)
    try:
        EXPORTERS.get(target.format).check(config, tokenizer_facts(recipe.tokenizer), target.quantize)
    except LoquelaError as error:
        return Proof(name=name, passed=False, message=error.message, remedy=error.remedy, code=error.code)
    return Proof(name=name, passed=True, message=f"this model can be exported to {target.name}")


def tokenizer_facts(section: TokenizerSection) -> TokenizerFacts:
    """What the recipe says of its tokenizer; one that is brought along is looked at.

    Raises DataError (DATA_NOT_FOUND, CORRUPTION) for a file that cannot be read.
    """
    brought = section.model_file
    if brought is None:
        return TokenizerFacts(section.method, section.sentencepiece_model_type)
    method = method_of(brought) if brought.suffix.lower() == ".json" else "sentencepiece"
    return TokenizerFacts(method, "", brought)
