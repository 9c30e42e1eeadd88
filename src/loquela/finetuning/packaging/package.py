"""The final artifact is written whole or not at all, beside the run's other records."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.adapter import CONFIG_NAME as ADAPTER_CONFIG_NAME
from loquela.artifacts.base import BASE_NAME, read_base, write_base
from loquela.artifacts.checksums import write_checksums
from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.final_artifact import (
    CONFIG_NAME,
    EVALUATION_NAME,
    KIND,
    METADATA_NAME,
    METRICS_NAME,
    PREFLIGHT_NAME,
    README_NAME,
    ArtifactMetadata,
)
from loquela.artifacts.folders import heal_folder, remove_abandoned, whole_folder
from loquela.artifacts.manifest import MANIFEST_NAME, Manifest, verify, write_manifest
from loquela.artifacts.merge_report import REPORT_NAME as MERGE_REPORT_NAME
from loquela.core.atomic import write_json, write_text
from loquela.finetuning.packaging.card import generate_adapter_readme
from loquela.finetuning.packaging.sources import (
    EFFECTIVE_NAME,
    EVALUATION_SOURCE,
    RECIPE_NAME,
    TRAINING_METRICS_NAME,
    PackageSources,
    read_object,
)


def save_adapter_artifact(sources: PackageSources, metadata: ArtifactMetadata, place: Path) -> Manifest:
    """Write the final artifact of a run to `place`, replacing what is there; the adapter is proven first.

    Raises DataError(CORRUPTION) for an adapter that is not what its manifest says, ResourceError as the file system.
    """
    adapter = verify(sources.adapter)
    heal_folder(place)
    remove_abandoned(place)
    with whole_folder(place) as folder:
        for record in adapter.files:
            _copy(sources.adapter / record.path, folder / record.path)
        _without_place(sources, folder)
        for source, name in _records(sources):
            if source.is_file():
                sources.places.copy(source, folder / name)
        write_json(folder / METADATA_NAME, metadata.model_dump(mode="json"))
        write_text(folder / README_NAME, generate_adapter_readme(metadata))
        write_checksums(folder)
        crash_point("before_manifest")
        manifest = write_manifest(folder, KIND, parents=sources.parents, facts=_facts(metadata))
    return manifest


def _records(sources: PackageSources) -> list[tuple[Path, str]]:
    """What is copied beside the adapter's own files, and under which name."""
    found = [
        (sources.run / RECIPE_NAME, CONFIG_NAME),
        (sources.run / TRAINING_METRICS_NAME, METRICS_NAME),
        (sources.run / PREFLIGHT_NAME, PREFLIGHT_NAME),
        (sources.run / EFFECTIVE_NAME, EFFECTIVE_NAME),
    ]
    if "comparison" in sources.folders:
        found.append((sources.folders["comparison"] / EVALUATION_SOURCE, EVALUATION_NAME))
    if "merged" in sources.folders:
        found.append((sources.folders["merged"] / MERGE_REPORT_NAME, MERGE_REPORT_NAME))
    return found


def _facts(metadata: ArtifactMetadata) -> dict[str, JsonValue]:
    chain: JsonValue = [link.model_dump(mode="json") for link in metadata.chain]
    return {
        "name": metadata.name,
        "task": metadata.task,
        "method": metadata.method,
        "base_source": metadata.base.source,
        "base_digest": metadata.base.digest,
        "base_unchanged": metadata.base.unchanged,
        "quantization": metadata.training.get("quantization"),
        "chain": chain,
    }


def _without_place(sources: PackageSources, folder: Path) -> None:
    """Name the base as others know it, not where it lies here."""
    if (folder / BASE_NAME).is_file():
        write_base(folder, read_base(folder).without_place())
    if (folder / ADAPTER_CONFIG_NAME).is_file():
        settings = read_object(folder / ADAPTER_CONFIG_NAME)
        source = read_base(sources.folders["base"]).without_place().source
        write_json(folder / ADAPTER_CONFIG_NAME, {**settings, "base_model_name_or_path": source})


def _copy(source: Path, target: Path) -> None:
    if source.name == MANIFEST_NAME:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
