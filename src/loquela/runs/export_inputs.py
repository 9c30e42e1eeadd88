"""What an export of a run's model is held to: the limits of its recipe, and text that it was not trained on."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import DataError
from loquela.recipe.export_section import ExportSection
from loquela.recipe.loading import load_values
from loquela.runs.manifest import RUN_MANIFEST_NAME, load_run_manifest
from loquela.runs.places import artifact_of


def export_inputs(run: Path | None, overrides: tuple[str, ...] = ()) -> tuple[ExportSection, Path | None]:
    """Limits and held-out text: those of the run's recipe and data, the defaults where there is no run.

    `overrides` are KEY=VALUE of the recipe's section export. Raises RecipeError as `load_values`.
    """
    recipe = load_run_manifest(run).recipe if run is not None and (run / RUN_MANIFEST_NAME).is_file() else None
    section = (recipe.export if recipe is not None else None) or ExportSection()
    if overrides:
        values: dict[str, JsonValue] = {"export": section.model_dump(mode="json")}
        section = load_values(values, "the export's settings", overrides).recipe.export or section
    if run is None or recipe is None:
        return section, None
    try:
        held_out = artifact_of(run, "prepare" if recipe.finetune is None else "examples")
    except DataError:  # a run whose data was removed is still exported, measured on text of its own
        return section, None
    return section, held_out if held_out.is_dir() else None
