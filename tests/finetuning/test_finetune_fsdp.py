"""A network in shares over two processes (FSDP2 over gloo) trains as one process does, with the same proofs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType
from peft import PeftModel
from pydantic import JsonValue
from safetensors.torch import load_file
from tiny_preferences import preference_context
from tiny_tuning import tuning_context, tuning_recipe
from transformers import AutoModelForCausalLM

from loquela.artifacts.checkpoints import checkpoint_directory
from loquela.artifacts.context import StageContext
from loquela.core.errors import InternalError, RecipeError
from loquela.finetuning.stage import finetune
from loquela.finetuning.training.fsdp import check_fsdp, check_shared
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import ComputeSection, Recipe
from toy_bases import toy_base

# Sums are made in another order: losses may differ in their last digits of float32.
TOLERANCE = 1e-5


def context_of(
    folder: Path, run: str, compute: dict[str, JsonValue], *, shape: str = "llama", **settings: JsonValue
) -> StageContext:
    asked: dict[str, JsonValue] = {"batch_size": 3, "gradient_accumulation_steps": 2, "max_steps": 3, **settings}
    recipe = tuning_recipe(toy_base(shape), folder, **asked)
    section = ComputeSection.model_validate({**recipe.compute.model_dump(), **compute})
    return tuning_context(folder, recipe.model_copy(update={"compute": section}), run=run, shape=shape)


def shared(sharding: str = "full") -> dict[str, JsonValue]:
    return {"processes": 2, "strategy": "fsdp", "fsdp": {"sharding": sharding}}


def losses(folder: Path, run: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def proofs(folder: Path, run: str) -> dict[str, bool]:
    return {proof["name"]: proof["passed"] for proof in json.loads((folder / run / "preflight.json").read_text())}


def apart(folder: Path, name: str) -> float:
    one, two = (load_file(folder / run / "adapter" / name) for run in ("one", "two"))
    assert set(one) == set(two)
    return max(float((one[key] - two[key]).abs().max()) for key in one)


@pytest.mark.slow
def test_an_adapter_learnt_in_shares_is_that_of_one_process(tmp_path: Path) -> None:
    """Three rows over two processes: one of them has none in the last micro-batch, and is needed all the same."""
    canary: JsonValue = {"canary_rows": 3, "canary_steps": 40, "canary_learning_rate": 0.03, "rehearsal": True}
    finetune(context_of(tmp_path, "one", {}, proofs=canary))
    together = finetune(context_of(tmp_path, "two", shared(), proofs=canary))
    assert together.facts["processes"] == 2
    assert losses(tmp_path, "two") == pytest.approx(losses(tmp_path, "one"), abs=TOLERANCE)
    assert apart(tmp_path, "adapter_model.safetensors") < 1e-4
    assert proofs(tmp_path, "two") == proofs(tmp_path, "one")
    assert {"canary", "rehearsal", "base_unchanged", "adapter_reloads"} <= set(proofs(tmp_path, "two"))
    one, two = (json.loads((tmp_path / run / "baseline_checksums.json").read_text()) for run in ("one", "two"))
    assert one == two
    held = json.loads((tmp_path / "two" / "effective_settings.json").read_text())["compute.strategy"]
    assert held["requested"] == "fsdp"
    assert "tensors in shares over 2 processes" in held["effective"]
    config = load_config_from_file(str(tmp_path / "two" / "accelerate_config.json"))
    assert (config.distributed_type, config.num_processes) == (DistributedType.FSDP, 2)
    assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] == "LlamaDecoderLayer"
    base = AutoModelForCausalLM.from_pretrained(toy_base("llama"))
    ids = torch.arange(10)[None]
    before = base(ids).logits
    loaded = PeftModel.from_pretrained(base, tmp_path / "two" / "adapter")
    assert not torch.equal(loaded(ids).logits, before)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_whole_model_learnt_in_shares_is_that_of_one_process(tmp_path: Path, optimizer: str) -> None:
    finetune(context_of(tmp_path, "one", {}, method="full", optimizer=optimizer, learning_rate=1e-3))
    finetune(context_of(tmp_path, "two", shared("grad_op"), method="full", optimizer=optimizer, learning_rate=1e-3))
    assert losses(tmp_path, "two") == pytest.approx(losses(tmp_path, "one"), abs=TOLERANCE)
    assert apart(tmp_path, "model.safetensors") < 1e-4
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "two" / "adapter").num_parameters() > 0


@pytest.mark.slow
def test_preferences_of_a_tied_network_are_learnt_in_shares(tmp_path: Path) -> None:
    def context(run: str, compute: dict[str, JsonValue]) -> StageContext:
        made = preference_context(tmp_path, "dpo", run=run)
        section = ComputeSection.model_validate({**made.recipe.compute.model_dump(), **compute})
        made.recipe = Recipe.model_validate({**made.recipe.model_dump(), "compute": section.model_dump()})
        return made

    finetune(context("one", {}))
    finetune(context("two", shared()))
    assert losses(tmp_path, "two") == pytest.approx(losses(tmp_path, "one"), abs=TOLERANCE)


@pytest.mark.slow
def test_stopped_and_gone_on_with_in_shares_is_the_same_to_the_bit(tmp_path: Path) -> None:
    settings: dict[str, JsonValue] = {"checkpoint_every_steps": 1, "gradient_accumulation_steps": 1, "batch_size": 2}
    finetune(context_of(tmp_path, "one", shared(), **settings))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for step in (2, 3):
        shutil.rmtree(checkpoint_directory(tmp_path / "two", step))
    shutil.rmtree(tmp_path / "two" / "adapter")
    context, resumed = context_of(tmp_path, "two", shared(), **settings), []
    bus = EventBus()
    bus.subscribe(lambda event: resumed.append(event.data["resumed"]) if "resumed" in event.data else None)
    context.bus = bus
    finetune(context)
    assert resumed == [True]
    assert apart(tmp_path, "adapter_model.safetensors") == 0.0
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, two = (load_file(checkpoint_directory(tmp_path / run, 3) / name) for run in ("one", "two"))
        assert set(one) == set(two)
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("compute", "finetuning", "processes", "says"),
    [
        ({}, {}, 1, "there is one process"),
        ({}, {"method": "qlora"}, 2, "cannot be cut"),
        ({}, {"optimizer": "adamw_8bit"}, 2, "not cut like its parameter"),
        ({"fsdp": {"cpu_offload": True}}, {}, 2, "the device is cpu"),
    ],
)
def test_what_would_not_hold_in_shares_is_refused(
    compute: dict[str, JsonValue], finetuning: dict[str, JsonValue], processes: int, says: str, tmp_path: Path
) -> None:
    recipe = tuning_recipe(toy_base("llama"), tmp_path, **finetuning)
    assert recipe.finetune is not None
    section = ComputeSection.model_validate({"strategy": "fsdp", **compute})
    with pytest.raises(RecipeError, match=f"compute.strategy is fsdp, and .*{says}"):
        check_fsdp(recipe.finetune, section, "cpu", processes)


def test_what_stayed_whole_is_named() -> None:
    with pytest.raises(InternalError, match="2 tensors were not shared out: weight first"):
        check_shared(torch.nn.Linear(2, 2))


def test_the_record_for_accelerate_is_one_that_it_reads(tmp_path: Path) -> None:
    finetune(context_of(tmp_path, "run", {}))
    config = load_config_from_file(str(tmp_path / "run" / "accelerate_config.json"))
    assert (config.distributed_type, config.num_processes, config.use_cpu) == (DistributedType.NO, 1, True)


def test_a_network_from_scratch_is_not_shared_out() -> None:
    with pytest.raises(ValueError, match="is for a section finetune"):
        Recipe.model_validate({"compute": {"strategy": "fsdp", "processes": 2}})


def test_options_of_another_strategy_are_refused() -> None:
    with pytest.raises(ValueError, match="no effect under strategy: ddp"):
        ComputeSection.model_validate({"fsdp": {"sharding": "grad_op"}})
