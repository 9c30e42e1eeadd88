"""Every method trains what it names and nothing else, and leaves a folder that the plain libraries load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import JsonValue
from tiny_tuning import tuning_context, tuning_recipe, tuning_session
from transformers import AutoModelForCausalLM

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import verify
from loquela.core.errors import InternalError, RecipeError
from loquela.finetuning.stage import finetune
from loquela.finetuning.training.adapter_folder import published_names
from loquela.finetuning.training.saved_state import trained_names
from loquela.recipe.schema import Recipe
from toy_bases import toy_base


def trained(folder: Path, shape: str = "llama", **changes: JsonValue) -> tuple[StageContext, StageResult]:
    recipe = tuning_recipe(toy_base(shape), folder, **{"max_steps": 3, **changes})
    context = tuning_context(folder, recipe, shape=shape)
    return context, finetune(context)


@pytest.mark.parametrize("method", ["qlora", "int8_lora"])
def test_a_quantised_base_learns_in_float32(tmp_path: Path, method: str) -> None:
    context, result = trained(tmp_path, method=method)
    manifest = verify(context.run_directory / "adapter", "adapter")
    assert set(manifest.parents) == {"base", "examples"}
    first, last = result.facts["train_loss"], result.facts["validation_loss"]
    assert isinstance(first, float) and isinstance(last, float)
    session = tuning_session(tmp_path / "again", method=method)
    trained_types = {parameter.dtype for parameter in session.model.parameters() if parameter.requires_grad}
    assert trained_types == {torch.float32}


def test_dora_is_saved_whole(tmp_path: Path) -> None:
    context, result = trained(tmp_path, lora={"rank": 4, "alpha": 8, "dropout": 0.1, "dora": True})
    assert result.facts["trained_parameters"] == 4096 + 512
    assert (context.run_directory / "adapter" / "adapter_model.safetensors").is_file()


def test_all_of_it_is_a_model_folder(tmp_path: Path) -> None:
    context, result = trained(tmp_path, "smollm", method="full", learning_rate=1e-3)
    assert result.facts["trained_parameters"] == result.facts["parameters"]
    model = AutoModelForCausalLM.from_pretrained(context.run_directory / "adapter", dtype=torch.float32)
    before = AutoModelForCausalLM.from_pretrained(toy_base("smollm"), dtype=torch.float32)
    changed = [not torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    assert all(changed)


@pytest.mark.parametrize("shape", ["gpt2", "mixtral"])
def test_other_shapes(tmp_path: Path, shape: str) -> None:
    _, result = trained(tmp_path, shape)
    assert result.facts["steps"] == 3


def test_recomputed_activations_give_the_same_gradients(tmp_path: Path) -> None:
    """Dropout included: the second pass draws what the first drew."""
    lora: dict[str, JsonValue] = {"rank": 4, "alpha": 8, "dropout": 0.2}
    found = []
    for checkpointing in (False, True):
        recipe = tuning_recipe(toy_base("llama"), tmp_path, lora=lora)
        compute = recipe.compute.model_copy(update={"gradient_checkpointing": checkpointing})
        found.append(_gradients(tmp_path, recipe.model_copy(update={"compute": compute})))
    assert all(torch.allclose(one, two, atol=1e-7) for one, two in zip(*found, strict=True))


def _gradients(folder: Path, recipe: Recipe) -> list[torch.Tensor]:
    from loquela.finetuning.training.opening import open_session, plan_for
    from loquela.training.distributed import Group

    session = open_session(tuning_context(folder, recipe), Group(), plan_for(recipe))
    for name, parameter in session.model.named_parameters():
        if "lora_B" in name:
            torch.manual_seed(len(name))
            parameter.data.normal_(0, 0.1)
    session.step_gradients([session.batch(session.training_rows[:3])])
    return [p.grad.clone() for p in session.model.parameters() if p.grad is not None]


def test_no_processor_computes_in_fp16(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="quantization.compute is fp16, which no processor computes in") as caught:
        tuning_session(tmp_path, method="qlora", quantization={"compute": "fp16"})
    assert caught.value.remedy == "set finetune.quantization.compute: auto"


def test_what_learns_and_would_not_be_saved_stops_the_folder(tmp_path: Path) -> None:
    """A norm of the base that learns beside the adapter: PEFT's file holds the adapter alone."""
    causal = tuning_session(tmp_path).causal
    assert set(published_names(causal).values()) == trained_names(causal.module)
    norms = [name for name, _ in causal.module.named_parameters() if "norm" in name]
    for name in norms:
        causal.module.get_parameter(name).requires_grad_(True)
    with pytest.raises(InternalError, match=f"PEFT does not save .*, and {len(norms) - 1} more") as caught:
        published_names(causal)
    assert sorted(norms)[0] in caught.value.message
