"""The plan of a recipe that fine-tunes: what lies below the output directory already, given to the predictions."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest
from loquela.compute.plan import Plan
from loquela.core.errors import DataError, LoquelaError
from loquela.finetuning.planning.gpus import GpuTable, load_gpus
from loquela.finetuning.planning.plan import Materials, TuningPlan, plan_tuning, section_of, shape_for
from loquela.finetuning.planning.rows import RowFacts, counted_rows, estimated_rows
from loquela.recipe.schema import Recipe
from loquela.runs.cache import stage_settings
from loquela.runs.corpus_size import corpus_size
from loquela.stages import stage_named


def tuning_plan(recipe: Recipe, table: GpuTable | None = None) -> TuningPlan:
    """Predict a fine-tuning; RecipeError when the base's shape is not known here."""
    return plan_tuning(recipe, materials_for(recipe, table))


def plan_if_known(recipe: Recipe) -> Plan | None:
    """The same for a run that is about to begin; None while the base's shape is not known here yet."""
    try:
        return tuning_plan(recipe)
    except LoquelaError:
        return None  # the base stage fetches the base, or says why it cannot; then the plan is made


def materials_for(recipe: Recipe, table: GpuTable | None = None) -> Materials:
    """What is known of base, rows and prices."""
    shape, said = shape_for(recipe)
    rows = _rows(recipe, shape.context)
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


def _rows(recipe: Recipe, context: int) -> RowFacts:
    section = section_of(recipe)
    kept = kept_examples(recipe)
    if kept is not None:
        rows = counted_rows(kept, section.batch_size, paired=section.task == "dpo")
        if rows.rows and rows.tokens:
            return rows
    return estimated_rows(recipe.examples, _expected_pairs(recipe), context)


def _expected_pairs(recipe: Recipe) -> int:
    """Questions that a language model is to write: so many for each chunk of the corpus."""
    if recipe.qa is None:
        return 0
    corpus_bytes, _ = corpus_size(recipe)
    return max(1, round(corpus_bytes / recipe.data.document_bytes)) * recipe.qa.pairs_per_chunk


def _examples_mb(recipe: Recipe) -> float:
    sources = recipe.examples.sources if recipe.examples is not None else []
    paths = [Path(source).expanduser() for source in sources]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
