"""Base and adapter of every shape and kind of adapter in one load; a base that is not itself any more is found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loquela.core.errors import ProofError
from loquela.evaluation.tuned import sides as module
from loquela.evaluation.tuned.gates import read_comparison
from loquela.evaluation.tuned.sides import LoadPlan, Sides
from loquela.evaluation.tuned.stage import compare, quantization_plan
from loquela.models.pretrained.adapters import attach_saved
from loquela.models.pretrained.load import QuantizationPlan, load_base_model
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import FinetuneSection
from toy_adapters import make_adapter
from toy_bases import toy_base
from toy_comparison import comparison_context, comparison_recipe, write_examples

PROBE = torch.arange(3, 40)[None]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("llama", {"dora": True}),
        ("smollm", {"rslora": True}),
        ("gpt2", {}),
        ("qwen3", {"target_modules": ["q_proj", "v_proj"]}),
        ("mixtral", {"target_modules": ["q_proj", "o_proj"]}),
    ],
)
def test_switched_off_every_adapter_leaves_the_base(shape: str, options: dict[str, object], tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", toy_base(shape), size=0.3, **options)
    sides = Sides(open_base(toy_base(shape)), adapter, LoadPlan("fp32", "cpu"))
    plain = load_base_model(open_base(toy_base(shape))).logits(PROBE)
    with torch.no_grad():
        with sides.side("base", PROBE) as model:
            assert torch.equal(model.logits(PROBE), plain)
        with sides.side("adapter", PROBE) as model:
            assert not torch.allclose(model.logits(PROBE), plain, atol=1e-3)
        with sides.side("base", PROBE) as model:
            assert torch.equal(model.logits(PROBE), plain)
    assert sides.base_equals_plain is True


def test_a_base_that_changed_under_its_adapter_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make_adapter(tmp_path / "adapter")

    def attach(model, folder):
        adapted = attach_saved(model, folder)
        with torch.no_grad():
            model.network.get_parameter("model.norm.weight").mul_(1.01)
        return adapted

    monkeypatch.setattr(module, "attach_saved", attach)
    sides = Sides(open_base(toy_base()), adapter, LoadPlan("fp32", "cpu"))
    with pytest.raises(ProofError, match="switched off, the model is not its base: logits differ by up to"):
        with sides.side("base", PROBE):
            pytest.fail("it was taken for the base")


def test_a_quantised_base_is_compared_as_it_was_trained(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", quantization=QuantizationPlan("nf4"), size=0.3)
    examples = write_examples(tmp_path / "examples")
    recipe = comparison_recipe(forgetting=False, rows=4)
    assert recipe.finetune is not None
    recipe.finetune.method = "qlora"
    context = comparison_context(tmp_path, adapter, examples, recipe)
    compare(context)
    report = read_comparison(context.output)
    assert (report.rows, report.rows_total) == (4, 10)
    assert report.base_equals_plain is True
    whole = comparison_context(tmp_path / "whole", adapter, examples, comparison_recipe(forgetting=False, rows=4))
    compare(whole)
    assert read_comparison(whole.output).metrics[0].base != report.metrics[0].base


def test_quantisation_follows_the_recipe() -> None:
    section = FinetuneSection(base="x", method="qlora")
    assert quantization_plan(section, "bf16") == QuantizationPlan("nf4", "bf16", True)
    section.quantization.compute = "fp32"
    assert quantization_plan(section, "bf16") == QuantizationPlan("nf4", "fp32", True)
    assert quantization_plan(FinetuneSection(base="x", method="int8_lora"), "fp32") == QuantizationPlan("int8")
    assert quantization_plan(FinetuneSection(base="x"), "fp32") is None
