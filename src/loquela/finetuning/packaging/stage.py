"""The stage that packages: adapter, passport, records."""

from __future__ import annotations

from loquela.artifacts.context import StageContext, StageResult
from loquela.core.errors import ErrorCode, RecipeError
from loquela.finetuning.packaging.metadata import create_artifact_metadata
from loquela.finetuning.packaging.package import save_adapter_artifact
from loquela.finetuning.packaging.records import write_run_records
from loquela.finetuning.packaging.sources import PackageSources


def package(context: StageContext) -> StageResult:
    """The adapter and all that is known about it → `final_artifact/`; errors as of `save_adapter_artifact`."""
    section = context.recipe.finetune
    if section is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "the recipe has no section finetune", "write finetune: {base: <folder>}"
        )
    sources = PackageSources(context.recipe.name, context.run_directory, section, context.inputs)
    metadata = create_artifact_metadata(sources)
    manifest = save_adapter_artifact(sources, metadata, context.output)
    write_run_records(context.run_directory, metadata, manifest.digest)
    size = sum(record.size_bytes for record in manifest.files)
    return StageResult(
        facts=manifest.facts,
        summary=f"{len(manifest.files)} files, {size / 1e6:.1f} MB, the base unchanged: {context.output.name}/",
    )
