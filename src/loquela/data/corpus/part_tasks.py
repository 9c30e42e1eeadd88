"""Parts of a corpus as tasks, made wherever the recipe's `compute.data` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.manifest import Manifest
from loquela.core.model import BoundaryModel
from loquela.data.corpus.ingest import MakeParts
from loquela.data.corpus.parts import Part, PartFacts, run_part
from loquela.data.source_contract import SourceFingerprint
from loquela.data.tasks.task import Task
from loquela.recipe.schema import DataSection

ENTRY = f"{__name__}:make_part"
RunTasks = Callable[[list[Task]], dict[str, Manifest]]


class PartArguments(BoundaryModel):
    """What a part is made from; sources that lie elsewhere are told by the task's inputs."""

    part: Part
    section: DataSection
    downloads: Path
    seed: int


def make_part(arguments: dict[str, JsonValue], output: Path, between: Callable[[], None]) -> dict[str, JsonValue]:
    """Fill `output` with one part; `arguments` are a `PartArguments`."""
    asked = PartArguments.model_validate(arguments)
    facts = run_part(asked.part, asked.section, asked.downloads, asked.seed, output, between)
    return facts.model_dump(mode="json")


def parts_by_tasks(
    section: DataSection,
    downloads: Path,
    seed: int,
    folder: Path,
    run: RunTasks,
) -> MakeParts:
    """How `build_corpus` gets its parts: as tasks below `folder`, keyed by settings and by what the sources hold."""

    def make(parts: list[Part], sources: dict[str, SourceFingerprint]) -> list[tuple[Path, PartFacts]]:
        tasks = [
            Task(
                name=f"part {part.number} of the corpus",
                entry=ENTRY,
                version=3,
                arguments=PartArguments(
                    part=part, section=section, downloads=downloads.resolve(), seed=seed
                ).model_dump(mode="json"),
                inputs={key: found.sha256 for key, found in sources.items()},
                place=folder / f"part-{part.number:05d}",
            )
            for part in parts
        ]
        made = run(tasks)
        return [(task.place, PartFacts.model_validate(made[task.name].facts)) for task in tasks]

    return make
