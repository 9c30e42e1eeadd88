"""Adapters on a base: new ones change nothing, saved ones load in plain PEFT, those of another base are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from loquela.artifacts.base import read_base
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.models.pretrained.adapters import (
    AdaptedModel,
    adapter_tensors,
    attach_new,
    attach_saved,
    save_adapter,
    trainable_summary,
)
from loquela.models.pretrained.load import QuantizationPlan, load_base_model
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import LoraOptions
from toy_bases import SHAPES, copied_base, toy_base

IDS = torch.tensor([[5, 9, 300, 41, 17, 88, 120]])
OPTIONS = LoraOptions(rank=4, alpha=8, dropout=0.0)


def _moved(adapted: AdaptedModel) -> AdaptedModel:
    """With an adapter that does something."""
    generator = torch.Generator().manual_seed(3)
    for tensor in adapter_tensors(adapted).values():
        tensor.data.normal_(0, 0.1, generator=generator)
    return adapted


def _saved(folder: Path, shape: str = "llama", options: LoraOptions = OPTIONS) -> torch.Tensor:
    folder.mkdir()
    adapted = _moved(attach_new(load_base_model(open_base(toy_base(shape))), options))
    save_adapter(adapted, folder)
    with torch.no_grad():
        return adapted.logits(IDS)


@pytest.mark.parametrize("shape", SHAPES)
def test_new_then_saved_then_loaded_by_us_and_by_plain_peft(shape: str, tmp_path: Path) -> None:
    base = open_base(toy_base(shape))
    model = load_base_model(base)
    with torch.no_grad():
        alone = model.logits(IDS)
        adapted = attach_new(model, OPTIONS)
        assert torch.equal(adapted.logits(IDS), alone)
        _moved(adapted)
        expected = adapted.logits(IDS)
        assert (expected - alone).abs().max() > 1e-3
        assert torch.allclose(adapted.head(adapted.hidden(IDS)), expected, atol=1e-5)
        with adapted.adapter_off():
            assert torch.equal(adapted.logits(IDS), alone)
        save_adapter(adapted, tmp_path)
        assert torch.equal(attach_saved(load_base_model(base), tmp_path).logits(IDS), expected)
        plain = transformers.AutoModelForCausalLM.from_pretrained(base.folder)
        assert torch.equal(peft.PeftModel.from_pretrained(plain, tmp_path)(IDS).logits, expected)
    assert read_base(tmp_path) == base.identity


def test_plain_peft_is_told_where_the_base_is(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A base of the hub by its name and commit, wherever its files were put; any other by the folder of its files."""
    adapted = attach_new(load_base_model(open_base(toy_base())), OPTIONS)
    assert not [each for each in recwarn if "renamed" in str(each.message)]
    save_adapter(adapted, tmp_path / "folder")
    config = json.loads((tmp_path / "folder" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (str(toy_base().resolve()), None)
    hub = {"source": "some/model", "kind": "hub", "revision": "c" * 40}
    adapted.base = replace(adapted.base, identity=adapted.base.identity.model_copy(update=hub))
    save_adapter(adapted, tmp_path / "hub")
    config = json.loads((tmp_path / "hub" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("some/model", "c" * 40)


def test_what_learns_is_counted() -> None:
    model = load_base_model(open_base(toy_base()))
    assert trainable_summary(model).frozen == 0
    adapted = attach_new(model, LoraOptions(rank=4, target_modules=["q_proj", "down_proj"]))
    summary = trainable_summary(adapted)
    # Two layers: q 32 × 32 and down 64 × 32, rank 4 on both sides.
    assert summary.by_module == {"q_proj": 2 * 4 * (32 + 32), "down_proj": 2 * 4 * (64 + 32)}
    assert (summary.trained, summary.frozen) == (1280, 51360)
    assert summary.share == pytest.approx(1280 / 52640)
    assert not any(p.requires_grad for name, p in adapted.module.named_parameters() if "lora_" not in name)


def test_the_beginning_follows_the_seed() -> None:
    def beginning(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(torch.seed())
        return adapter_tensors(attach_new(load_base_model(open_base(toy_base())), OPTIONS, seed=seed))

    first, same, other = beginning(1), beginning(1), beginning(2)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(("rslora", "factor"), [(False, 8 / 4), (True, 8 / 2)])
def test_updates_are_scaled(rslora: bool, factor: float) -> None:
    options = LoraOptions(rank=4, alpha=8, dropout=0.0, rslora=rslora, target_modules=["q_proj"])
    adapted = attach_new(load_base_model(open_base(toy_base())), options)
    layer = adapted.network.get_submodule("model.layers.0.self_attn.q_proj")
    assert layer.scaling["default"] == pytest.approx(factor)


def test_dora_is_saved_and_loaded(tmp_path: Path) -> None:
    expected = _saved(tmp_path / "adapter", options=LoraOptions(rank=4, dropout=0.0, dora=True))
    adapted = attach_saved(load_base_model(open_base(toy_base())), tmp_path / "adapter")
    with torch.no_grad():
        assert torch.equal(adapted.logits(IDS), expected)
    assert any("magnitude" in name for name in adapter_tensors(adapted))


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_adapters_on_a_quantised_base_learn(kind: str) -> None:
    pytest.importorskip("bitsandbytes")
    adapted = attach_new(load_base_model(open_base(toy_base()), quantization=QuantizationPlan(kind)), OPTIONS)
    adapted.module.train()
    torch.nn.functional.cross_entropy(adapted.logits(IDS)[0, :-1], IDS[0, 1:]).backward()
    gradients = [p.grad for name, p in adapted.module.named_parameters() if "lora_B" in name]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    assert trainable_summary(adapted).frozen == 51360


def test_unknown_modules_are_named(tmp_path: Path) -> None:
    model = load_base_model(open_base(toy_base()))
    with pytest.raises(
        RecipeError, match="finetune.lora.target_modules: no such module 'q_prj'; did you mean 'q_proj'?"
    ):
        attach_new(model, LoraOptions(target_modules=["v_proj", "q_prj"]))
    tied = load_base_model(open_base(toy_base("smollm")))
    with pytest.raises(RecipeError, match="lm_head of this base is its embedding"):
        attach_new(tied, LoraOptions(target_modules=["lm_head"]))


def test_the_wrong_base_is_refused(tmp_path: Path) -> None:
    _saved(tmp_path / "adapter")
    folder = copied_base(tmp_path / "changed")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] += 0.01
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"was trained on .* they differ in model.safetensors") as failure:
        attach_saved(load_base_model(open_base(folder)), tmp_path / "adapter")
    assert failure.value.code is ErrorCode.CHECKPOINT_INCOMPATIBLE


def test_shapes_are_compared_where_the_base_is_not_recorded(tmp_path: Path) -> None:
    _saved(tmp_path / "adapter", "gpt2")
    (tmp_path / "adapter" / "base.json").unlink()
    with pytest.raises(DataError, match=r"PEFT cannot adapt it|in the file and .* in the network"):
        attach_saved(load_base_model(open_base(toy_base())), tmp_path / "adapter")


def _settings(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_adapters_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    model = load_base_model(open_base(toy_base()))
    with pytest.raises(DataError, match="it is no adapter: there is no adapter_config.json"):
        attach_saved(model, tmp_path)
    folder = tmp_path / "adapter"
    _saved(folder)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    _settings(folder, r=8)
    with pytest.raises(DataError, match=r"is \[4, 64\] in the file and \[8, 64\] in the network"):
        attach_saved(load_base_model(open_base(toy_base())), folder)
    _settings(folder, r=4, peft_type="IA3")
    with pytest.raises(DataError, match="it is a IA3 adapter; LORA is supported"):
        attach_saved(model, folder)
    _settings(folder, peft_type="LORA", auto_mapping={"parent_library": "os"})
    with pytest.raises(DataError, match="names a class of its own .auto_mapping., which is never run"):
        attach_saved(model, folder)
    _settings(folder, auto_mapping=None, init_lora_weights="pissa")
    with pytest.raises(DataError, match="it began as pissa, which changes the base's own weights"):
        attach_saved(model, folder)
    _settings(folder, init_lora_weights=True, from_the_future=1)
    with pytest.raises(DataError, match="has from_the_future, which the installed PEFT .* does not know"):
        attach_saved(model, folder)
    _settings(folder, from_the_future=None)
    (folder / "adapter_model.safetensors").write_bytes(weights[:-4])
    with pytest.raises(DataError, match="it is cut or changed"):
        attach_saved(load_base_model(open_base(toy_base())), folder)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(DataError, match="pickled .adapter_model.bin., and a pickle can run any code"):
        attach_saved(model, folder)
