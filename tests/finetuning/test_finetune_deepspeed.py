"""DeepSpeed's ZeRO over two processes (gloo, no GPU) trains as one process does; refused where it is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType
from pydantic import JsonValue
from safetensors.torch import load_file
from tiny_tuning import tuning_context, tuning_recipe

from loquela.artifacts.checkpoints import checkpoint_directory
from loquela.artifacts.context import StageContext
from loquela.core.errors import RecipeError, ResourceError
from loquela.finetuning.stage import finetune
from loquela.finetuning.training.zero import check_zero, engine_config
from loquela.recipe.distributed_section import DeepSpeedOptions
from loquela.recipe.schema import ComputeSection
from toy_bases import toy_base

TOLERANCE = 1e-5
INSTALLED = find_spec("deepspeed") is not None
needs_deepspeed = pytest.mark.skipif(not INSTALLED, reason="DeepSpeed is not installed: the extra deepspeed")


def context_of(folder: Path, run: str, compute: dict[str, JsonValue], **settings: JsonValue) -> StageContext:
    asked: dict[str, JsonValue] = {"batch_size": 3, "gradient_accumulation_steps": 2, "max_steps": 3, **settings}
    recipe = tuning_recipe(toy_base("llama"), folder, **asked)
    section = ComputeSection.model_validate({**recipe.compute.model_dump(), **compute})
    return tuning_context(folder, recipe.model_copy(update={"compute": section}), run=run)


def staged(stage: int) -> dict[str, JsonValue]:
    return {"processes": 2, "strategy": "deepspeed", "deepspeed": {"stage": stage}}


def losses(folder: Path, run: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def proofs(folder: Path, run: str) -> dict[str, bool]:
    return {proof["name"]: proof["passed"] for proof in json.loads((folder / run / "preflight.json").read_text())}


def apart(folder: Path, one: str, two: str, name: str) -> float:
    left, right = (load_file(folder / run / "adapter" / name) for run in (one, two))
    assert set(left) == set(right)
    return max(float((left[key] - right[key]).abs().max()) for key in left)


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_engine_updates_as_torch_does_and_its_state_goes_in_and_out(tmp_path: Path, stage: int) -> None:
    """Resumed, rolled back, a step thrown away, let go: each to the bit what the straight training is."""
    result = tmp_path / "result.json"
    script = Path(__file__).with_name("zero_engine.py")
    arguments = ["--standalone", "--nproc-per-node=2", str(script), str(stage), str(result)]
    subprocess.run([sys.executable, "-m", "torch.distributed.run", *arguments], check=True, timeout=600)
    found = json.loads(result.read_text())
    assert found.pop("apart") < 1e-6
    assert found == {"resumed": True, "dropped": True, "rolled_back": True, "left": True}


@needs_deepspeed
@pytest.mark.slow
def test_an_adapter_learnt_under_every_stage_is_that_of_one_process(tmp_path: Path) -> None:
    """Three rows over two processes: one of them has none in the last micro-batch."""
    finetune(context_of(tmp_path, "one", {}))
    expected = proofs(tmp_path, "one")
    for stage in (1, 2, 3):
        run = f"stage-{stage}"
        finetune(context_of(tmp_path, run, staged(stage)))
        assert losses(tmp_path, run) == pytest.approx(losses(tmp_path, "one"), abs=TOLERANCE)
        assert apart(tmp_path, "one", run, "adapter_model.safetensors") < 1e-4
        assert proofs(tmp_path, run) == expected
        held = json.loads((tmp_path / run / "effective_settings.json").read_text())["compute.strategy"]
        assert held["effective"].startswith(f"ZeRO stage {stage}: ")
        config = load_config_from_file(str(tmp_path / run / "accelerate_config.json"))
        assert (config.distributed_type, config.deepspeed_config["zero_stage"]) == (DistributedType.DEEPSPEED, stage)
    assert "; 0 of " not in held["effective"]


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_a_whole_model_learnt_under_deepspeed_is_that_of_one_process(tmp_path: Path, stage: int) -> None:
    settings: dict[str, JsonValue] = {"method": "full", "learning_rate": 1e-3}
    finetune(context_of(tmp_path, "one", {}, **settings))
    finetune(context_of(tmp_path, "two", staged(stage), **settings))
    assert losses(tmp_path, "two") == pytest.approx(losses(tmp_path, "one"), abs=TOLERANCE)
    assert apart(tmp_path, "one", "two", "model.safetensors") < 1e-4


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_stopped_and_gone_on_with_under_deepspeed_is_the_same_to_the_bit(tmp_path: Path, stage: int) -> None:
    settings: dict[str, JsonValue] = {"checkpoint_every_steps": 1, "gradient_accumulation_steps": 1, "batch_size": 2}
    finetune(context_of(tmp_path, "one", staged(stage), **settings))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for step in (2, 3):
        shutil.rmtree(checkpoint_directory(tmp_path / "two", step))
    shutil.rmtree(tmp_path / "two" / "adapter")
    finetune(context_of(tmp_path, "two", staged(stage), **settings))
    assert apart(tmp_path, "one", "two", "adapter_model.safetensors") == 0.0
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, two = (load_file(checkpoint_directory(tmp_path / run, 3) / name) for run in ("one", "two"))
        assert set(one) == set(two)
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("finetuning", "precision", "processes", "says"),
    [
        ({}, "fp32", 1, "there is one process"),
        ({"method": "qlora"}, "fp32", 2, "never proven under it"),
        ({"optimizer": "adafactor"}, "fp32", 2, "cannot be cut anywhere"),
        ({}, "fp16", 2, "two loss scales"),
    ],
)
def test_what_would_not_hold_under_deepspeed_is_refused(
    finetuning: dict[str, JsonValue], precision: str, processes: int, says: str, tmp_path: Path
) -> None:
    recipe = tuning_recipe(toy_base("llama"), tmp_path, **finetuning)
    assert recipe.finetune is not None
    with pytest.raises(RecipeError, match=f"compute.strategy is deepspeed, and .*{says}"):
        check_zero(recipe.finetune, precision, "cpu", processes)


@pytest.mark.skipif(INSTALLED, reason="DeepSpeed is installed")
def test_without_the_package_the_install_line_is_shown(tmp_path: Path) -> None:
    recipe = tuning_recipe(toy_base("llama"), tmp_path)
    assert recipe.finetune is not None
    with pytest.raises(ResourceError, match="needs the package deepspeed") as caught:
        check_zero(recipe.finetune, "fp32", "cpu", 2)
    assert caught.value.remedy == 'pip install "loquela[deepspeed]"'


def test_the_engine_is_told_what_the_recipe_says(tmp_path: Path) -> None:
    recipe = tuning_recipe(toy_base("llama"), tmp_path, batch_size=5, gradient_accumulation_steps=4)
    assert recipe.finetune is not None
    config = engine_config(recipe.finetune, DeepSpeedOptions(stage=3), processes=2, width=64)
    assert config["train_micro_batch_size_per_gpu"] == 3
    assert config["gradient_accumulation_steps"] == 4
    assert config["gradient_clipping"] == 1.0
    assert config["zero_optimization"] == {"stage": 3, "stage3_param_persistence_threshold": 640}
