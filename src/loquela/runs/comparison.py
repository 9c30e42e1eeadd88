"""What differs between two runs: recipe, data, versions, results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.recipe.keys import values_of
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest


class Difference(BoundaryModel):
    """One value that is not the same in both runs; null where a run has none."""

    what: str
    first: JsonValue
    second: JsonValue


class RunComparison(BoundaryModel):
    """`stages` compares the digests of what each stage made: the same digest is the same bytes."""

    first: str
    second: str
    recipe: list[Difference] = Field(default_factory=list)
    stages: list[Difference] = Field(default_factory=list)
    versions: list[Difference] = Field(default_factory=list)
    hardware: list[Difference] = Field(default_factory=list)
    results: list[Difference] = Field(default_factory=list)


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare the manifests of two run folders; DataError(CORRUPTION) when one cannot be read."""
    one, two = load_run_manifest(first), load_run_manifest(second)
    return RunComparison(
        first=one.run_id,
        second=two.run_id,
        recipe=_differences(values_of(one.recipe), values_of(two.recipe)),
        stages=_differences(_digests(one), _digests(two)),
        versions=_differences(one.versions, two.versions),
        hardware=_differences(one.hardware, two.hardware),
        results=_differences(one.metrics_summary, two.metrics_summary),
    )


def _digests(manifest: TrainingRunManifest) -> dict[str, JsonValue]:
    return {name: record.digest for name, record in manifest.stages.items()}


def _differences(first: Mapping[str, JsonValue], second: Mapping[str, JsonValue]) -> list[Difference]:
    names = [*first, *(name for name in second if name not in first)]
    return [
        Difference(what=name, first=first.get(name), second=second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    ]
