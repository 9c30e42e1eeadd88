"""What the sources of a recipe hold now: the part of the ingest stage's cache key that lies outside the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from loquela.data.access.source_registry import source_for
from loquela.data.corpus.ingest import requests
from loquela.data.corpus.side_inputs import side_inputs
from loquela.data.source_contract import SourceFingerprint
from loquela.recipe.schema import DataSection, Recipe

DOWNLOADS_NAME = "downloads"


def downloads_directory(output_directory: Path) -> Path:
    """Where files from the network are kept."""
    return output_directory.expanduser() / DOWNLOADS_NAME


def recipe_fingerprint(recipe: Recipe) -> dict[str, JsonValue]:
    """`fingerprint` of what a recipe reads."""
    return fingerprint(recipe.data, recipe.output_directory)


def fingerprint(section: DataSection, output_directory: Path) -> dict[str, JsonValue]:
    """Address → fingerprint (texts, bytes, sha256, language), equal to `facts["sources"]` of a corpus made from it.

    Local files are hashed; what comes over the network is downloaded first if the cache does not have it, so that
    the key is the same before and after.
    """
    downloads = downloads_directory(output_directory)
    found = {
        request.entry.key: source_for(request.address).fingerprint(request)
        for request in requests(section, downloads, section.seed)
    }
    found.update(side_inputs(section))
    return {address: known.model_dump(mode="json") for address, known in found.items()}


def changes_between(recorded: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> list[str]:
    """`source_changes` of two results of `fingerprint`; what is recorded may be empty (nothing is known)."""
    if not recorded:
        return []
    sides = [
        {address: SourceFingerprint.model_validate(value) for address, value in side.items()}
        for side in (recorded, now)
    ]
    return source_changes(sides[0], sides[1])


def source_changes(recorded: dict[str, SourceFingerprint], now: dict[str, SourceFingerprint]) -> list[str]:
    """A sentence for every source that is not what it was."""
    sentences: list[str] = []
    for address in sorted(recorded.keys() | now.keys()):
        old, new = recorded.get(address), now.get(address)
        if old is None:
            sentences.append(f"{address} is new")
        elif new is None:
            sentences.append(f"{address} is gone")
        elif old != new:
            verb = "shrank" if new.bytes < old.bytes else "grew" if new.bytes > old.bytes else "changed"
            sentences.append(f"{address} {verb} ({old.bytes:,} → {new.bytes:,} bytes, {old.texts} → {new.texts} texts)")
    return sentences
