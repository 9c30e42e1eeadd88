"""What differs between two runs: recipe, data, versions, results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.artifacts.examples import EXAMPLES_NAME, Example, read_examples
from loquela.core.entry import resolve
from loquela.core.model import BoundaryModel
from loquela.evaluation.tuned.between_runs import AdaptersCompared
from loquela.recipe.keys import values_of
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest

SHOWN, CHARACTERS_SHOWN = 5, 100

CompareAdapters = Callable[[Path, Path], AdaptersCompared]


class Difference(BoundaryModel):
    """One value that is not the same in both runs; null where a run has none."""

    what: str
    first: JsonValue
    second: JsonValue


class RowsChanged(BoundaryModel):
    """Which examples only one of the runs has, by split, with the questions of some; `same` are in both."""

    same: int
    added: dict[str, int]
    removed: dict[str, int]
    moved: int = Field(description="in both, but in another split")
    some_added: list[str]
    some_removed: list[str]


class RunComparison(BoundaryModel):
    """`stages` compares the digests of what each stage made: the same digest is the same bytes.

    `examples` and `adapters` are of runs that fine-tune; null where one of the two has none, or it is no longer there.
    """

    first: str
    second: str
    recipe: list[Difference] = Field(default_factory=list)
    stages: list[Difference] = Field(default_factory=list)
    versions: list[Difference] = Field(default_factory=list)
    hardware: list[Difference] = Field(default_factory=list)
    results: list[Difference] = Field(default_factory=list)
    examples: RowsChanged | None = None
    adapters: AdaptersCompared | None = None


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
        examples=_examples(one, two),
        adapters=_adapters(one, two),
    )


def _examples(one: TrainingRunManifest, two: TrainingRunManifest) -> RowsChanged | None:
    """What the second run learns from that the first did not, and the other way round."""
    places = [_made(manifest, "examples", EXAMPLES_NAME) for manifest in (one, two)]
    if places[0] is None or places[1] is None:
        return None
    before, after = _by_id(places[0]), _by_id(places[1])
    added = [example for name, example in after.items() if name not in before]
    removed = [example for name, example in before.items() if name not in after]
    both = before.keys() & after.keys()
    return RowsChanged(
        same=len(both),
        added=_by_split(added),
        removed=_by_split(removed),
        moved=sum(before[name].split != after[name].split for name in both),
        some_added=[_shown(example) for example in added[:SHOWN]],
        some_removed=[_shown(example) for example in removed[:SHOWN]],
    )


def _adapters(one: TrainingRunManifest, two: TrainingRunManifest) -> AdaptersCompared | None:
    places = [_made(manifest, "compare", "metrics.json") for manifest in (one, two)]
    if places[0] is None or places[1] is None:
        return None
    compare: CompareAdapters = resolve("loquela.evaluation.tuned.between_runs:compare_adapters")
    return compare(places[0], places[1])


def _made(manifest: TrainingRunManifest, stage: str, file: str) -> Path | None:
    """The folder that a stage of a run made; None where it did not run, or the folder is gone."""
    record = manifest.stages.get(stage)
    if record is None or not (Path(record.directory) / file).is_file():
        return None
    return Path(record.directory)


def _by_id(directory: Path) -> dict[str, Example]:
    return {example.id: example for example in read_examples(directory)}


def _by_split(examples: Sequence[Example]) -> dict[str, int]:
    return dict(sorted(Counter(str(example.split) for example in examples).items()))


def _shown(example: Example) -> str:
    """The beginning of what is asked, or of the text."""
    asked = [message.content for message in example.messages if message.role == "user"]
    text = (asked or [example.prompt or example.text or ""])[-1]
    return " ".join(text.split())[:CHARACTERS_SHOWN]


def _digests(manifest: TrainingRunManifest) -> dict[str, JsonValue]:
    return {name: record.digest for name, record in manifest.stages.items()}


def _differences(first: Mapping[str, JsonValue], second: Mapping[str, JsonValue]) -> list[Difference]:
    names = [*first, *(name for name in second if name not in first)]
    return [
        Difference(what=name, first=first.get(name), second=second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    ]
