"""Artifacts that stages made, kept by the digest of what they were made from.

    <output_directory>/artifacts/<kind>/<key>/

A folder appears by one rename, manifest included; what does not verify is set aside and made anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StageResult
from loquela.artifacts.manifest import Manifest, verify, write_manifest
from loquela.core.atomic import TEMPORARY_PREFIX, fsync_directory, write_error
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.monitoring.events import Bus
from loquela.recipe.schema import Recipe
from loquela.stages import Stage

KEY_LENGTH = 16


class ArtifactCache:
    """Finds and keeps artifacts below one output directory."""

    def __init__(self, output_directory: Path, bus: Bus) -> None:
        self.root = output_directory.expanduser() / "artifacts"
        self.bus = bus

    def find(self, kind: str, key: str) -> Manifest | None:
        """The verified manifest of an artifact, or None; a damaged one is set aside and said so."""
        directory = self.directory(kind, key)
        try:
            return verify(directory, kind)
        except DataError as error:
            if error.code is ErrorCode.DATASET_NOT_FOUND and not directory.exists():
                return None
            aside = directory.with_name(f"damaged-{directory.name}")
            shutil.rmtree(aside, ignore_errors=True)
            directory.rename(aside)
            self.bus.publish(
                "artifact.damaged.v1",
                {"kind": kind, "problem": error.message, "moved_to": str(aside), "action": "it is made anew"},
            )
            return None

    def build(
        self,
        kind: str,
        key: str,
        make: Callable[[Path], StageResult],
        *,
        settings: dict[str, JsonValue],
        parents: dict[str, str],
    ) -> tuple[Manifest, StageResult]:
        """Let `make` fill a temporary folder, write its manifest, move it into place."""
        directory = self.directory(kind, key)
        temporary = directory.with_name(TEMPORARY_PREFIX + directory.name)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            result = make(temporary)
            manifest = write_manifest(temporary, kind, settings=settings, parents=parents, facts=result.facts)
            shutil.rmtree(directory, ignore_errors=True)
            temporary.rename(directory)
            fsync_directory(directory.parent)
        except OSError as error:
            raise write_error(error, temporary) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return manifest, result

    def directory(self, kind: str, key: str) -> Path:
        """Where the artifact lies or would lie."""
        return self.root / kind / key


def stage_settings(recipe: Recipe, stage: Stage) -> dict[str, JsonValue]:
    """The values that decide what `stage` makes; a file named among them counts by its content too."""
    whole = recipe.model_dump(mode="json")
    settings: dict[str, JsonValue] = {}
    for dotted in stage.settings:
        value: JsonValue = whole
        for part in dotted.split("."):
            value = value[part] if isinstance(value, dict) else None
        settings[dotted] = value
    if stage.name == "tokenizer" and recipe.tokenizer.model_file and recipe.tokenizer.model_file.is_file():
        settings["tokenizer.model_file.sha256"] = digest_file(recipe.tokenizer.model_file)
    return settings


def stage_key(
    stage: Stage, settings: dict[str, JsonValue], inputs: dict[str, str], outside: dict[str, JsonValue]
) -> str:
    """Digest of everything that decides what `stage` makes, shortened for use as a folder name."""
    return digest_json(
        {
            "stage": stage.name,
            "format_version": stage.format_version,
            "settings": settings,
            "inputs": dict(inputs),
            "outside": outside,
        }
    )[:KEY_LENGTH]
