"""Stopped, killed, gone on with: the adapter of a run never stopped, bit for bit; other courses are refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import JsonValue
from tiny_tuning import tuning_context, tuning_recipe, write_examples

from loquela.artifacts.checkpoints import list_checkpoints
from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.crash_points import VARIABLE
from loquela.core.errors import DataError, ErrorCode, Interrupted
from loquela.finetuning.stage import finetune
from loquela.monitoring.events import Event, EventBus
from toy_bases import toy_base

DROPOUT: dict[str, JsonValue] = {"lora": {"rank": 4, "alpha": 8, "dropout": 0.2}, "evaluate_every_steps": 2}


def context_of(folder: Path, run: str, bus: EventBus | None = None, **changes: JsonValue) -> StageContext:
    recipe = tuning_recipe(toy_base("llama"), folder, **{**DROPOUT, **changes})
    return tuning_context(folder, recipe, bus=bus, run=run)


def trained(folder: Path, run: str, **changes: JsonValue) -> StageResult:
    return finetune(context_of(folder, run, **changes))


def weights(folder: Path, run: str) -> bytes:
    return (folder / run / "adapter" / "adapter_model.safetensors").read_bytes()


def lines(folder: Path, run: str) -> list[dict[str, JsonValue]]:
    names = ("step", "epoch", "loss", "validation_loss", "learning_rate", "gradient_norm", "tokens_seen")
    records = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
    return [{name: record.get(name) for name in names} for record in records]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, and one straight run to compare with."""
    folder = tmp_path_factory.mktemp("resume")
    result = trained(folder, "straight")
    assert result.facts["steps"] == 6
    return folder


def stopped_at(folder: Path, run: str, step: int) -> None:
    bus = EventBus()
    context = context_of(folder, run, bus)

    def stop(event: Event) -> None:
        if event.name == "training_orchestrator.step_complete.v1" and event.data["step"] == step:
            context.stop.request("SIGINT")

    bus.subscribe(stop)
    with pytest.raises(Interrupted, match=f"after step {step} of 6; everything is saved"):
        finetune(context)


def test_stopped_and_gone_on_with(folder: Path) -> None:
    stopped_at(folder, "stopped", 3)
    assert (folder / "stopped" / "checkpoints" / "00000003").is_dir()
    trained(folder, "stopped")
    assert weights(folder, "stopped") == weights(folder, "straight")
    assert lines(folder, "stopped") == lines(folder, "straight")


CHILD = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
import toy_bases
toy_bases._written = lambda shape, template: Path({base!r})
import test_finetune_resume as resume
resume.trained(Path({folder!r}), {run!r})
"""


@pytest.mark.parametrize("point", ["after_tensors:3", pytest.param("before_retention:4", marks=pytest.mark.slow)])
def test_killed_while_it_saves(folder: Path, point: str) -> None:
    """kill -9 in a process of its own; this one goes on."""
    run = point.replace(":", "-")
    here = Path(__file__).parent
    code = CHILD.format(paths=[str(here), str(here.parent)], base=str(toy_base("llama")), folder=str(folder), run=run)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, VARIABLE: point}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert not (folder / run / "adapter").exists()
    trained(folder, run)
    assert weights(folder, run) == weights(folder, "straight")
    assert lines(folder, run) == lines(folder, "straight")


def test_a_damaged_checkpoint_is_set_aside(folder: Path) -> None:
    stopped_at(folder, "damaged", 4)
    newest = list_checkpoints(folder / "damaged")[0]
    path = newest / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    trained(folder, "damaged")
    assert (folder / "damaged" / "checkpoints" / "quarantine").is_dir()
    assert weights(folder, "damaged") == weights(folder, "straight")


def test_another_course_is_refused_with_the_difference(folder: Path) -> None:
    stopped_at(folder, "changed", 2)
    for changes, said in (
        ({"lora": {"rank": 8, "alpha": 8, "dropout": 0.2}}, r"lora\.rank is 4 there and 8 here"),
        ({"method": "full"}, "method is lora there and full here"),
        ({"batch_size": 2}, "was made with 3 rows per step, the recipe gives 2"),
    ):
        with pytest.raises(DataError, match=said) as caught:
            trained(folder, "changed", **changes)
        assert caught.value.code is ErrorCode.CHECKPOINT_INCOMPATIBLE


def test_other_rows_or_another_base_are_refused(folder: Path, tmp_path: Path) -> None:
    stopped_at(folder, "data", 2)
    context = context_of(folder, "data")
    other = write_examples(tmp_path / "examples", toy_base("llama"), packed=2)
    changed = {**context.inputs, "examples": other}
    with pytest.raises(DataError, match="digest of the examples .* now ") as caught:
        finetune(StageContext(context.recipe, context.bus, changed, context.output, context.run_directory))
    assert caught.value.code is ErrorCode.DATA_CHANGED
    moved = tuning_context(tmp_path, context.recipe, shape="smollm")
    with pytest.raises(DataError, match="digest of the base .* now "):
        finetune(
            StageContext(
                context.recipe,
                context.bus,
                {**context.inputs, "base": moved.inputs["base"]},
                context.output,
                context.run_directory,
            )
        )


def test_settings_that_may_change_are_told(folder: Path) -> None:
    stopped_at(folder, "told", 2)
    bus = EventBus()
    said: list[str] = []
    bus.subscribe(lambda event: said.append(str(event.data.get("message"))) if "resumed" in event.name else None)
    result = finetune(context_of(folder, "told", bus, learning_rate=5e-3, optimizer="sgd"))
    assert str(result.facts["version"]) in said[0]
    assert "finetune.learning_rate: 0.01 → 0.005" in said[0]
    assert "the new optimizer starts without state" in said[0]


def test_the_best_adapter_is_handed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss on held-out rows is lowest after step 3, and grows from there."""
    losses = iter([3.0, 2.0, 2.5, 2.6])
    monkeypatch.setattr("loquela.finetuning.training.runner.HeldOutRows.loss", lambda rows: next(losses))
    facts = trained(folder, "best").facts
    assert (facts["adapter_step"], facts["steps"]) == (3, 6)
    assert facts["best_validation_loss"] == 2.0
    best = (folder / "best" / "best" / "adapter_model.safetensors").read_bytes()
    assert weights(folder, "best") == best != weights(folder, "straight")
    shutil.rmtree(folder / "best")


def test_the_last_adapter_is_handed_on_where_it_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.6])
    monkeypatch.setattr("loquela.finetuning.training.runner.HeldOutRows.loss", lambda rows: next(losses))
    facts = trained(folder, "last", hand_on="last").facts
    assert (facts["adapter_step"], facts["steps"], facts["best_validation_loss"]) == (6, 6, 2.0)
    assert weights(folder, "last") == weights(folder, "straight")
    shutil.rmtree(folder / "last")
