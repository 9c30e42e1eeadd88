"""Liger's layers: refused where they cannot run, and where they are asked for and change nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from tiny_tuning import tuning_recipe, tuning_session
from torch import nn
from transformers.models.llama import modeling_llama

from loquela.core.errors import RecipeError, ResourceError
from loquela.finetuning.preflight import check_finetuning
from loquela.finetuning.training import liger
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from toy_bases import toy_base


class StandIn(ModuleType):
    """In the place of Liger's module of patches: what a CPU lacks is Triton's kernels, not the way they are put in."""

    def __init__(self, change: bool) -> None:
        super().__init__("liger_kernel.transformers.monkey_patch")
        self.change = change
        self.asked: dict[str, object] = {}

    def _apply_liger_kernel_to_instance(self, model: nn.Module, **asked: object) -> None:
        self.asked = asked
        if not self.change:
            return

        def forward(self: nn.Module, hidden: object) -> object:
            return hidden

        forward.__module__ = "liger_kernel.transformers.rms_norm"
        for module in model.modules():
            if type(module).__name__ == "LlamaRMSNorm":
                module.__dict__["forward"] = forward.__get__(module)
                module.__dict__["_get_name"] = (lambda self: "LigerRMSNorm").__get__(module)
        modeling_llama.LlamaRMSNorm = nn.Identity


def given(monkeypatch: pytest.MonkeyPatch, change: bool) -> StandIn:
    made = StandIn(change)
    for name in ("liger_kernel", "liger_kernel.transformers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_a_cpu_has_no_kernels_of_triton(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="run on CUDA devices, and the device is cpu"):
        tuning_session(tmp_path, liger=True)
    found = check_finetuning(tuning_recipe(toy_base("llama"), tmp_path, liger=True))
    assert [proof.passed for proof in found] == [True, False]
    assert "finetune.liger" in found[1].message


def test_without_the_package_the_install_line_is_shown() -> None:
    with pytest.raises(ResourceError, match="needs the package liger_kernel") as caught:
        liger.check_liger(True, "cuda")
    assert caught.value.remedy == 'pip install "loquela[liger]"'


def test_asked_for_and_nothing_changed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_base_model(open_base(toy_base("llama")))
    given(monkeypatch, change=False)
    with pytest.raises(RecipeError, match=r"Liger changed nothing of this network \(llama\)"):
        liger.apply_liger(model)


def test_what_is_exchanged_is_counted_and_other_networks_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = modeling_llama.LlamaRMSNorm
    model = load_base_model(open_base(toy_base("llama")))
    made = given(monkeypatch, change=True)
    assert liger.exchanged(model.network) == {}
    liger.apply_liger(model)
    norms = 2 * model.facts.layers + 1
    assert liger.exchanged(model.network) == {"LigerRMSNorm": norms}
    assert made.asked == {"rope": False, "cross_entropy": False, "fused_linear_cross_entropy": False}
    assert modeling_llama.LlamaRMSNorm is stock
