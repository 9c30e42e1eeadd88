"""The plan of a recipe that fine-tunes: what lies below the output directory already, given to the predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest
from loquela.artifacts.qa_forecast import QaForecast
from loquela.compute.plan import Plan
from loquela.core.entry import resolve
from loquela.core.errors import DataError, LoquelaError
from loquela.finetuning.planning.gpus import GpuTable, load_gpus
from loquela.finetuning.planning.plan import Materials, TuningPlan, plan_tuning, section_of, shape_for
from loquela.finetuning.planning.rows import RowFacts, counted_rows, estimated_rows, generated_rows
from loquela.recipe.qa_section import QaSection
from loquela.recipe.schema import Recipe
from loquela.runs.cache import stage_settings
from loquela.runs.corpus_size import corpus_size
from loquela.stages import stage_named

FORECAST = "loquela.data.qa.forecast:forecast"


def tuning_plan(recipe: Recipe, table: GpuTable | None = None) -> TuningPlan:
    """Predict a fine-tuning; RecipeError when the base's shape is not known here."""
    return plan_tuning(recipe, materials_for(recipe, table))


def plan_if_known(recipe: Recipe, *, read_documents: bool = False) -> Plan | None:
    """The same for a run that is about to begin; None while the base's shape is not known here yet."""
    try:
        return plan_tuning(recipe, materials_for(recipe, read_documents=read_documents))
    except LoquelaError:
        return None  # the base stage fetches the base, or says why it cannot; then the plan is made


def materials_for(recipe: Recipe, table: GpuTable | None = None, *, read_documents: bool = True) -> Materials:
    """What is known of base, rows and prices; documents that rows are still to be made of are read only if wished."""
    shape, said = shape_for(recipe)
    rows = _rows(recipe, shape.context, read_documents)
    return Materials(shape, said, rows, table or load_gpus(), _examples_mb(recipe))


def kept_examples(recipe: Recipe) -> Path | None:
    """The newest examples artifact made with the recipe's settings, whatever lay in its files then."""
    settings = stage_settings(recipe, stage_named("examples"))
    root = recipe.output_directory.expanduser() / "artifacts" / "examples"
    made = [path.parent for path in root.glob(f"[0-9a-f]*/{MANIFEST_NAME}")]
    for folder in sorted(made, key=lambda each: each.stat().st_mtime, reverse=True):
        try:
            manifest = read_manifest(folder, "examples")
        except DataError:
            continue  # damaged: it is made anew when it is used
        if manifest.settings == settings:
            return folder
    return None


def _rows(recipe: Recipe, context: int, read_documents: bool) -> RowFacts:
    section = section_of(recipe)
    kept = kept_examples(recipe)
    if kept is not None:
        rows = counted_rows(kept, section.batch_size, paired=section.task == "dpo")
        if rows.rows and rows.tokens:
            return rows
    if recipe.qa is None:
        return estimated_rows(recipe.examples, None, context)
    look: Callable[[Recipe], QaForecast | None] = resolve(FORECAST)
    forecast = look(recipe) if read_documents else None
    if forecast is None:
        return estimated_rows(recipe.examples, None, context, pairs=_pairs_of_size(recipe, recipe.qa))
    held_out = recipe.data.validation_fraction + recipe.data.test_fraction
    return estimated_rows(recipe.examples, generated_rows(forecast, recipe.qa, held_out), context)


def _pairs_of_size(recipe: Recipe, section: QaSection) -> int:
    """Pairs of documents that lie elsewhere: so many for each chunk of the expected bytes."""
    corpus_bytes, _ = corpus_size(recipe)
    splitter = recipe.data.splitter
    return max(1, round(corpus_bytes / splitter.size(recipe.data.document_bytes))) * section.pairs_per_chunk


def _examples_mb(recipe: Recipe) -> float:
    sources = recipe.examples.sources if recipe.examples is not None else []
    paths = [Path(source).expanduser() for source in sources]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
