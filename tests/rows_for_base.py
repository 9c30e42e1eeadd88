"""Rows of an examples folder for a base, made by the stage that makes them."""

from __future__ import annotations

import json
from pathlib import Path

from loquela.artifacts.base import Base, base_location, read_base
from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.examples_facts import ExamplesFacts
from loquela.artifacts.manifest import write_manifest
from loquela.data.examples.stage import build
from loquela.monitoring.events import SilentBus
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import Recipe

Row = dict[str, object]


def conversation(*turns: str, system: str | None = None) -> Row:
    """Turns of the user and the assistant by turns."""
    spoken = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(turns)]
    return {"messages": ([{"role": "system", "content": system}] if system else []) + spoken}


def make_rows(folder: Path, base: Path, rows: list[Row], task: str = "sft", **keys: object) -> ExamplesFacts:
    """Fill `folder` and seal it; the recipe's section `examples` has `keys`."""
    folder.mkdir(exist_ok=True)
    source = folder.parent / f"{folder.name}.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = {"sources": [str(source)], "validation_fraction": 0, **keys}
    recipe = Recipe(
        examples=ExamplesSection.model_validate(section),
        finetune=FinetuneSection.model_validate({"base": "b", "task": task}),
        output_directory=folder.parent,
    )
    context = StageContext(
        recipe=recipe,
        output=folder,
        run_directory=folder.parent,
        inputs={"base": base},
        bus=SilentBus(),
        stop=StopRequest(),
    )
    found = build(context).facts
    write_manifest(folder, "examples", facts=found)
    return ExamplesFacts.model_validate(found)


def base_of(artifact: Path) -> Base:
    """The base in an artifact, its files not hashed."""
    identity = read_base(artifact)
    return Base(base_location(artifact, identity), identity)
