"""The stage that makes questions and answers: corpus → examples."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult
from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.qa.asking import requests_folder
from loquela.data.qa.generate import Work, foresee
from loquela.data.qa.generate import generate as fill
from loquela.monitoring.events import SilentBus
from loquela.recipe.qa_section import QaSection
from loquela.recipe.schema import Recipe


def generate(context: StageContext) -> StageResult:
    """Corpus → `examples.jsonl` and `ledger.json`; errors as of `loquela.data.qa.generate.generate`."""
    recipe = context.recipe
    work = Work(
        corpus=context.inputs["corpus"],
        section=section_of(recipe),
        requests=requests_folder(recipe.output_directory),
        bus=context.bus,
        stop=context.stop,
    )
    written = fill(work, context.output)
    splits = ", ".join(f"{count:,} {split}" for split, count in written.splits.items() if count)
    return StageResult(
        facts=written.model_dump(mode="json"),
        summary=f"{written.examples:,} examples ({splits}) from {written.pairs:,} pairs of "
        f"{written.chunks_asked:,} chunks; {sum(written.dropped.values()):,} pairs dropped",
    )


def price(recipe: Recipe, corpus: Path) -> dict[str, JsonValue]:
    """The estimate for a recipe and the corpus that it made, as JSON; errors as of `foresee`."""
    work = Work(
        corpus=corpus, section=section_of(recipe), requests=requests_folder(recipe.output_directory), bus=SilentBus()
    )
    return foresee(work).model_dump(mode="json")


def section_of(recipe: Recipe) -> QaSection:
    """The recipe's `qa` section; RecipeError(CONFIG_INVALID) when it has none."""
    if recipe.qa is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the recipe has no section qa, so no questions and answers are asked for",
            "write at least qa: {provider: anthropic}, or --set qa.provider=offline to try it without a model",
        )
    return recipe.qa
