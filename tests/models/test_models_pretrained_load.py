"""A base gives what plain transformers gives: logits, hidden states, greedy text; what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from loquela.core.errors import DataError, RecipeError
from loquela.models.pretrained.load import DtypeName, QuantizationPlan, load_base_model
from loquela.models.pretrained.open import open_base
from toy_bases import SHAPES, copied_base, toy_base

IDS = torch.tensor([[5, 9, 300, 41, 17, 88, 120], [7, 7, 250, 33, 4, 61, 99]])


def _plain(folder: Path, **settings: object) -> transformers.PreTrainedModel:
    transformers.logging.disable_progress_bar()
    return transformers.AutoModelForCausalLM.from_pretrained(folder, **settings).eval()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_computes_what_transformers_computes(shape: str) -> None:
    base = open_base(toy_base(shape))
    model, plain = load_base_model(base), _plain(base.folder)
    assert not model.module.training
    assert sum(parameter.numel() for parameter in plain.parameters()) == base.identity.parameters
    with torch.no_grad():
        expected = plain(IDS).logits
        assert torch.equal(model.logits(IDS), expected)
        assert torch.allclose(model.head(model.hidden(IDS)), expected, atol=1e-5)
        assert torch.allclose(model.hidden(IDS) @ model.head_weight.T, expected, atol=1e-5)
    prompts = [IDS[0].tolist(), IDS[1].tolist()[:4]]
    written = model.generate_greedy(prompts, max_new_tokens=8, stop_ids=base.identity.eos_ids, pad_id=0)
    for prompt, row in zip(prompts, written, strict=True):
        ids = torch.tensor([prompt])
        made = plain.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        assert row == made[0, len(prompt) :].tolist()


def test_a_stop_token_ends_its_row_alone() -> None:
    model = load_base_model(open_base(toy_base()))
    prompts = [IDS[0].tolist(), IDS[1].tolist()]
    free = model.generate_greedy(prompts, max_new_tokens=6, stop_ids=[511], pad_id=0)
    stop = free[0][2]
    held = model.generate_greedy(prompts, max_new_tokens=6, stop_ids=[stop], pad_id=0)
    assert held[0] == free[0][:3]
    assert held[1] == free[1] or held[1][-1] == stop


def test_what_generation_config_asks_for_plays_no_part(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "base")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": 5.0, "do_sample": True}))
    rows = [
        load_base_model(open_base(place)).generate_greedy([[5, 6, 7]], max_new_tokens=8, stop_ids=[2], pad_id=0)
        for place in (folder, toy_base())
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision(name: DtypeName, dtype: torch.dtype) -> None:
    base = open_base(toy_base())
    model = load_base_model(base, dtype=name)
    assert {parameter.dtype for parameter in model.module.parameters()} == {dtype}
    with torch.no_grad():
        assert torch.equal(model.logits(IDS), _plain(base.folder, dtype=dtype)(IDS).logits)
    assert (model.facts.dtype, model.facts.compute_dtype, model.facts.quantization) == (name, name, None)


@pytest.mark.parametrize("kind", ["nf4", "fp4", "int8"])
def test_quantised_bases(kind: str) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    base = open_base(toy_base())
    model = load_base_model(base, quantization=QuantizationPlan(kind, "fp32"))
    layer = model.network.get_submodule("model.layers.0.self_attn.q_proj")
    wanted = bitsandbytes.nn.Linear8bitLt if kind == "int8" else bitsandbytes.nn.Linear4bit
    assert isinstance(layer, wanted)
    assert isinstance(model.head, torch.nn.Linear) and not isinstance(model.head, wanted)
    if kind != "int8":
        assert layer.weight.quant_state.quant_type == kind
        assert layer.weight.quant_state.nested
        assert layer.compute_dtype == torch.float32
    with torch.no_grad():
        difference = (model.logits(IDS) - load_base_model(base).logits(IDS)).abs().max().item()
    assert 0 < difference < 10
    assert model.facts.quantization == kind


def test_attention_is_what_was_asked_for() -> None:
    base = open_base(toy_base())
    assert load_base_model(base, attention="eager").facts.attention == "eager"
    assert load_base_model(base).facts.attention == "sdpa"
    with pytest.raises(RecipeError, match="attention: flash_attention_2 is not possible here"):
        load_base_model(base, attention="flash_attention_2")


def _without(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "missing")
    _without(folder, "model.layers.1.mlp.up_proj.weight")
    with pytest.raises(DataError, match=r"are missing, and would have been made up: model.layers.1.mlp.up_proj"):
        load_base_model(open_base(folder))
    folder = copied_base(tmp_path / "more")
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "model.extra.weight": torch.ones(2)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"have no place in its network: model.extra.weight"):
        load_base_model(open_base(folder))
    folder = copied_base(tmp_path / "shape")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(DataError, match=r"transformers cannot load it|another shape than its config.json says"):
        load_base_model(open_base(folder))


def test_loading_leaves_the_librarys_log_as_it_was() -> None:
    verbosity = transformers.logging.get_verbosity()
    load_base_model(open_base(toy_base()))
    assert transformers.logging.get_verbosity() == verbosity
