"""Hashes of bases, plain and quantised; what learns, counted; names that seed 004 publishes."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
from bare_subject import BareSubject
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from loquela.core.errors import DataError
from loquela.finetuning.verification import (
    base_name,
    compare_model_checksums,
    compute_model_state_checksum,
    get_trainable_parameters_summary,
    load_base_model_checksums,
    save_adapter_only_params,
    save_base_model_checksums,
    verify_base_weights_unchanged,
    verify_only_adapter_trainable,
)
from toy_bases import toy_base

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def test_names_and_hashes_are_those_of_the_base_itself(tmp_path: Path) -> None:
    bare = AutoModelForCausalLM.from_pretrained(toy_base(), dtype=torch.float32)
    checksums = compute_model_state_checksum(bare)
    assert "model.layers.0.self_attn.q_proj.weight" in checksums
    assert compute_model_state_checksum(BareSubject(tmp_path).model) == checksums
    assert (
        base_name("base_model.model.model.layers.0.mlp.up_proj.base_layer.weight")
        == "model.layers.0.mlp.up_proj.weight"
    )


def test_a_hash_sees_type_and_shape_and_every_bit() -> None:
    def checksum(tensor: torch.Tensor) -> str:
        module = torch.nn.Module()
        module.register_buffer("held", tensor)
        return compute_model_state_checksum(module)["held"]

    ones = torch.ones(2, 3)
    assert checksum(ones) == checksum(ones.clone())
    assert len({checksum(each) for each in (ones, ones.view(3, 2), ones.double(), ones.bfloat16(), -ones)}) == 5
    assert checksum(torch.zeros(1)) != checksum(-torch.zeros(1))
    assert checksum(ones.view(3, 2).t()) == checksum(ones.view(3, 2).t().contiguous())


def test_differences_are_sorted_by_what_happened() -> None:
    difference = compare_model_checksums({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"})
    assert (difference.changed, difference.missing, difference.added) == (["b"], ["c"], ["d"])
    assert not difference.none
    assert compare_model_checksums({"a": "1"}, {"a": "1"}).none


def test_the_baseline_file_goes_round_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    model = BareSubject(tmp_path).model
    saved = save_base_model_checksums(model, tmp_path)
    assert load_base_model_checksums(tmp_path) == saved
    assert verify_base_weights_unchanged(model, tmp_path).none
    (tmp_path / "baseline_checksums.json").write_text('{"checksums": 3}')
    with pytest.raises(DataError, match=r"baseline_checksums\.json cannot be read"):
        verify_base_weights_unchanged(model, tmp_path)


def test_what_learns_is_counted_and_saved_alone(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    summary = get_trainable_parameters_summary(subject.model)
    # 2 layers of q, o (32 x 32), k, v (32 x 16), gate, up, down (32 x 64) with rank 8 on both sides.
    by_hand = 2 * 8 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 64))
    assert summary.trainable_parameters == by_hand
    assert summary.total_parameters == by_hand + sum(
        each.numel() for name, each in subject.model.named_parameters() if "lora_" not in name
    )
    assert verify_only_adapter_trainable(subject.model) == []
    subject.model.get_parameter("base_model.model.lm_head.weight").requires_grad_(True)
    assert verify_only_adapter_trainable(subject.model) == ["base_model.model.lm_head.weight"]
    assert save_adapter_only_params(subject.model, tmp_path / "adapter.safetensors") == 28
    assert all("lora_" in name for name in load_file(tmp_path / "adapter.safetensors"))


@pytest.mark.parametrize(
    "quantization",
    [
        BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
        BitsAndBytesConfig(load_in_8bit=True),
    ],
    ids=["nf4", "int8"],
)
def test_a_quantised_base_counts_with_its_scales(quantization: BitsAndBytesConfig) -> None:
    model = AutoModelForCausalLM.from_pretrained(toy_base(), dtype=torch.float32, quantization_config=quantization)
    model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    before = compute_model_state_checksum(model)
    model.train()
    model(input_ids=torch.arange(24)[None], labels=torch.arange(24)[None]).loss.backward()
    assert compare_model_checksums(before, compute_model_state_checksum(model)).none
    layer = model.base_model.model.model.layers[0].mlp.up_proj.base_layer
    scales = layer.weight.quant_state.absmax if hasattr(layer.weight, "quant_state") else layer.state.SCB
    with torch.no_grad():
        scales.view(-1)[0] += 1
    changed = compare_model_checksums(before, compute_model_state_checksum(model)).changed
    assert changed
    assert all(name.startswith("model.layers.0.mlp.up_proj.") for name in changed)
