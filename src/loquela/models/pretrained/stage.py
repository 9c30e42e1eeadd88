"""The stage that provides the base: found or fetched, checked, identified; converted where it is a GGUF file."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.base import HERE, BaseIdentity, hash_files, write_base
from loquela.artifacts.context import StageContext, StageResult
from loquela.core.digests import digest_file
from loquela.core.errors import ErrorCode, RecipeError
from loquela.models.pretrained.folder_files import base_files
from loquela.models.pretrained.gguf_convert import convert
from loquela.models.pretrained.identify import identify
from loquela.models.pretrained.packaged import packaged_file
from loquela.models.pretrained.sources import BaseSource, source_of
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe


def provide(context: StageContext) -> StageResult:
    """`finetune.base` → base.json, with the converted files where it is a GGUF file; errors as of `identify`."""
    section = section_of(context.recipe)
    identity = _identity(source_of(section.base), context.output)
    write_base(context.output, identity)
    facts: dict[str, JsonValue] = identity.model_dump(
        mode="json", include={"source", "kind", "revision", "architecture", "parameters", "context", "digest"}
    )
    return StageResult(facts=facts, summary=summary(identity))


def fingerprint(recipe: Recipe) -> dict[str, JsonValue]:
    """What the base is now: the SHA-256 of its files, or its commit on the hub; errors as of `provide`."""
    source = source_of(section_of(recipe).base)
    if source.kind != "folder":
        file = gguf_file(source)
        return {file.name: digest_file(file)}
    names = base_files(source.path)
    return {name: record.sha256 for name, record in hash_files(source.path, names).items()}


def gguf_file(source: BaseSource) -> Path:
    """The GGUF file that is to be converted."""
    return packaged_file(source.name) if source.kind == "package" else source.path


def section_of(recipe: Recipe) -> FinetuneSection:
    """The recipe's section `finetune`; RecipeError(CONFIG_INVALID) when it has none."""
    if recipe.finetune is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "the recipe has no section finetune", "write finetune: {base: <folder>}"
        )
    return recipe.finetune


def summary(identity: BaseIdentity) -> str:
    """One line for people."""
    commit = f" at {identity.revision[:12]}" if identity.revision else ""
    return (
        f"{identity.source}{commit}: {identity.architecture}, {identity.parameters / 1e6:,.1f} million parameters, "
        f"context {identity.context:,}"
    )


def _identity(source: BaseSource, output: Path) -> BaseIdentity:
    if source.kind == "folder":
        return identify(source.path, source=source.written)
    convert(gguf_file(source), output)
    return identify(output, source=source.written, kind=source.kind, location=HERE)
