"""PEFT's model with our layer is PEFT's model: same names, same outputs, merged and switched off alike."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

from loquela.models.pretrained.adapters import AdaptedModel, attach_new, save_adapter
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import LoraOptions
from toy_bases import toy_base

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def adapted(shape: str = "llama", **options: object) -> AdaptedModel:
    model = load_base_model(open_base(toy_base(shape)))
    made = attach_new(model, LoraOptions.model_validate({"rank": 4, "alpha": 8, "dropout": 0.0, **options}), seed=3)
    torch.manual_seed(9)
    for name, parameter in made.module.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.05)
    return made


def layers(model: AdaptedModel) -> set[str]:
    return {type(module).__name__ for module in model.module.modules() if hasattr(module, "lora_A")}


@pytest.mark.parametrize("shape", ["llama", "qwen2", "mixtral"])
def test_saved_and_loaded_by_plain_peft(tmp_path: Path, shape: str) -> None:
    ours = adapted(shape)
    assert "LoquelaLoraLinear" in layers(ours)
    save_adapter(ours, tmp_path)
    base = AutoModelForCausalLM.from_pretrained(toy_base(shape), dtype=torch.float32)
    plain = peft.PeftModel.from_pretrained(base, tmp_path).eval()
    with torch.no_grad():
        assert torch.allclose(ours.logits(IDS), plain(input_ids=IDS).logits, atol=1e-5)


def test_switched_off_and_merged() -> None:
    model = adapted()
    with torch.no_grad():
        on = model.logits(IDS)
        with model.adapter_off():
            off = model.logits(IDS)
        bare = load_base_model(open_base(toy_base("llama"))).logits(IDS)
        assert torch.allclose(off, bare, atol=1e-6) and not torch.allclose(on, off, atol=1e-3)
        merged = getattr(model.module, "merge_and_unload")()  # noqa: B009
        assert torch.allclose(merged(input_ids=IDS).logits, on, atol=1e-5)


def test_other_cases_are_left_to_peft() -> None:
    assert layers(adapted(dora=True)) == {"Linear"}
    assert layers(adapted("gpt2")) == {"Linear"}
    assert layers(adapted(rslora=True)) == {"LoquelaLoraLinear"}
