"""Pairs and judged answers of a tiny base, made into rows as a run makes them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue
from tiny_tuning import tuning_recipe, write_base_artifact

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.manifest import write_manifest
from loquela.data.examples.stage import build
from loquela.finetuning.training.opening import open_session, plan_for
from loquela.finetuning.training.session import TuningSession
from loquela.monitoring.events import Bus, SilentBus
from loquela.recipe.schema import Recipe
from loquela.training.distributed import Group
from toy_bases import toy_base

# question, better answer, worse answer
PREFERENCES = [
    ("Where does the river run?", "It runs under the bridge.", "0123456789"),
    ("¿Dónde corre el río?", "Corre bajo el puente.", "Who?"),
    ("What runs past the mill?", "The river runs past the old mill.", "You are a mill."),
    ("Who is helpful?", "You are.", "The bridge of stone and the river."),
    ("Count.", "0123456789", "niño"),
    ("And the bridge?", "It is of stone.", "9876"),
    ("Say niño.", "niño", "Where is the mill, where is it?"),
    ("Where is the mill?", "Past the bridge.", "[1, 2.5, true]"),
]


def write_preferences(tmp: Path, task: str, shape: str = "llama") -> Path:
    """Base and examples artifacts below `tmp`, the rows made as a run makes them: pairs, or each answer judged."""
    base = toy_base(shape)
    artifacts = tmp / f"artifacts-{task}-{shape}"
    if artifacts.exists():
        return artifacts
    write_base_artifact(artifacts / "base", base)
    rows = [
        {"prompt": question, "chosen": better, "rejected": worse} for question, better, worse in PREFERENCES
    ] if task == "dpo" else [
        {"prompt": question, "completion": answer, "label": answer == better}
        for question, better, worse in PREFERENCES
        for answer in (better, worse)
    ]  # fmt: skip
    source = artifacts / "rows.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    recipe = tuning_recipe(base, tmp, task=task)
    section = {"sources": [str(source)], "validation_fraction": 0.25, "template": "chatml"}
    recipe = Recipe.model_validate({**recipe.model_dump(mode="json"), "examples": section})
    output = artifacts / "examples"
    output.mkdir()
    context = StageContext(
        recipe=recipe, bus=SilentBus(), inputs={"base": artifacts / "base"}, output=output, run_directory=tmp,
        stop=StopRequest(),
    )  # fmt: skip
    write_manifest(output, "examples", facts=build(context).facts)
    return artifacts


def preference_context(
    tmp: Path, task: str, *, run: str = "run", bus: Bus | None = None, shape: str = "llama", **finetune: JsonValue
) -> StageContext:
    """Inputs below `tmp`, made once, and a run folder."""
    base = toy_base(shape)
    recipe = tuning_recipe(base, tmp, task=task, **finetune)
    artifacts = write_preferences(tmp, task, shape)
    directory = tmp / run
    directory.mkdir(exist_ok=True)
    return StageContext(
        recipe=recipe,
        bus=bus or SilentBus(),
        inputs={"base": artifacts / "base", "examples": artifacts / "examples"},
        output=directory / "adapter",
        run_directory=directory,
        stop=StopRequest(),
    )


def preference_session(tmp: Path, task: str, *, shape: str = "llama", **finetune: JsonValue) -> TuningSession:
    """A session that is ready to train."""
    context = preference_context(tmp, task, shape=shape, **finetune)
    return open_session(context, Group(), plan_for(context.recipe))
