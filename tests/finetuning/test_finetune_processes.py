"""Two processes under torchrun train as one: the same losses and, but for the last digits, the same adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_tuning import tuning_context, tuning_recipe

from loquela.artifacts.context import StageContext
from loquela.finetuning.stage import finetune
from loquela.monitoring.events import EventBus
from toy_bases import toy_base


def context_of(folder: Path, run: str, processes: int, bus: EventBus | None = None) -> StageContext:
    recipe = tuning_recipe(toy_base("llama"), folder, batch_size=2, gradient_accumulation_steps=2, max_steps=3)
    compute = recipe.compute.model_copy(update={"processes": processes})
    return tuning_context(folder, recipe.model_copy(update={"compute": compute}), run=run, bus=bus)


def losses(folder: Path, run: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.mark.slow
def test_two_ranks_are_one(tmp_path: Path) -> None:
    bus = EventBus()
    names: set[str] = set()
    bus.subscribe(lambda event: names.add(event.name))
    alone = finetune(context_of(tmp_path, "one", 1))
    together = finetune(context_of(tmp_path, "two", 2, bus))
    assert (alone.facts["processes"], together.facts["processes"]) == (1, 2)
    assert losses(tmp_path, "two") == pytest.approx(losses(tmp_path, "one"), abs=1e-5)
    one, two = (load_file(tmp_path / run / "adapter" / "adapter_model.safetensors") for run in ("one", "two"))
    assert all((one[name] - two[name]).abs().max() < 1e-4 for name in one)
    assert {"finetune.proof.finished.v1", "trainer.metrics.progress.v1", "trainer.job.completed.v1"} <= names
    assert not (tmp_path / "two" / "processes").exists()
