"""Can the model that the recipe describes be exported as the recipe wants, before it is trained?"""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.proof import Proof
from loquela.core.errors import LoquelaError
from loquela.export.contract import ModelConfig, TokenizerFacts
from loquela.export.registry import EXPORTERS
from loquela.models.config import model_config
from loquela.models.pretrained.folder_files import TOKENIZER_NAME
from loquela.recipe.export_section import ExportTarget
from loquela.recipe.schema import Recipe, TokenizerSection
from loquela.tokenizers.load import method_of


def check_exports(recipe: Recipe) -> list[Proof]:
    """One proof a target; a format that cannot hold this network or tokenizer fails it with the reason.

    A base that is to be fine-tuned is looked at where it is a folder already; another is looked at when it is there.
    """
    if recipe.export is None:
        return []
    base = None if recipe.finetune is None else Path(recipe.finetune.base).expanduser()
    if base is not None and not base.is_dir():
        return []
    return [_proof(recipe, base, target) for target in recipe.export.targets]


def _proof(recipe: Recipe, base: Path | None, target: ExportTarget) -> Proof:
    name = f"export {target.name}"
    try:
        config, tokenizer = _described(recipe) if base is None else _of_base(base)
        EXPORTERS.get(target.format).check(config, tokenizer, target.quantize)
    except LoquelaError as error:
        return Proof(name=name, passed=False, message=error.message, remedy=error.remedy, code=error.code)
    return Proof(name=name, passed=True, message=f"this model can be exported to {target.name}")


def _described(recipe: Recipe) -> tuple[ModelConfig, TokenizerFacts]:
    return model_config(recipe.model, recipe.tokenizer.vocab_size), tokenizer_facts(recipe.tokenizer)


def _of_base(folder: Path) -> tuple[ModelConfig, TokenizerFacts]:
    # Torch is loaded only for recipes that need it here.
    from loquela.export.opening import refuse_other_networks
    from loquela.models.folder import read_config

    refuse_other_networks(folder)
    file = folder / TOKENIZER_NAME
    return read_config(folder), TokenizerFacts(method_of(file), "", file)


def tokenizer_facts(section: TokenizerSection) -> TokenizerFacts:
    """What the recipe says of its tokenizer; one that is brought along is looked at.

    Raises DataError (DATA_NOT_FOUND, CORRUPTION) for a file that cannot be read.
    """
    brought = section.model_file
    if brought is None:
        return TokenizerFacts(section.method, section.sentencepiece_model_type)
    method = method_of(brought) if brought.suffix.lower() == ".json" else "sentencepiece"
    return TokenizerFacts(method, "", brought)
