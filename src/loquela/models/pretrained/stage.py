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
from loquela.models.pretrained.hub import fetch
from loquela.models.pretrained.hub_pin import pinned_commit
from loquela.models.pretrained.identify import identify
from loquela.models.pretrained.packaged import packaged_file
from loquela.models.pretrained.sources import BaseSource, source_of
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe


def provide(context: StageContext) -> StageResult:
    """`finetune.base` → base.json, with the converted files where it is a GGUF file; errors as of `identify`."""
    section = section_of(context.recipe)
    identity = _identity(source_of(section.base), context)
    write_base(context.output, identity)
    facts: dict[str, JsonValue] = identity.model_dump(
        mode="json", include={"source", "kind", "revision", "architecture", "parameters", "context", "digest"}
    )
    return StageResult(facts=facts, summary=summary(identity))


def fingerprint(recipe: Recipe) -> dict[str, JsonValue]:
    """What the base is now: the SHA-256 of its files, or its commit on the hub; errors as of `provide`."""
    section = section_of(recipe)
    source = source_of(section.base)
    if source.kind == "hub":
        return {"commit": pinned_commit(source.name, section.revision, recipe.output_directory)}
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


def _identity(source: BaseSource, context: StageContext) -> BaseIdentity:
    recipe = context.recipe
    match source.kind:
        case "folder":
            return identify(source.path, source=source.written)
        case "hub":
            commit = pinned_commit(source.name, section_of(recipe).revision, recipe.output_directory)
            context.bus.publish("notice.v1", {"message": f"the base {source.name} is fetched at commit {commit}"})
            return fetch(source.name, commit, source.written)
        case _:
            convert(gguf_file(source), context.output)
            return identify(context.output, source=source.written, kind=source.kind, location=HERE)
