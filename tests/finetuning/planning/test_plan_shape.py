"""Shapes of bases: counted parameters are those that their makers publish, and those of real modules."""

from __future__ import annotations

import json

import pytest

from loquela.core.errors import RecipeError
from loquela.finetuning.planning.base_shape import find_shape, known_bases
from loquela.finetuning.planning.shape import shape_of
from loquela.recipe.finetune_section import FinetuneSection
from toy_bases import SHAPES, toy_base

PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
    "openai-community/gpt2": 124_439_808,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_known_bases_have_the_parameters_that_are_published(name):
    assert shape_of(known_bases()[name], name).parameters() == PUBLISHED[name]


@pytest.mark.parametrize("kind", SHAPES)
def test_every_type_is_counted_as_its_weights_are(kind):
    from loquela.models.pretrained.identify import identify

    folder = toy_base(kind)
    shape, said = find_shape(FinetuneSection(base=str(folder)), folder / "nowhere")
    assert shape.parameters() == identify(folder, source="toy").parameters
    assert said == f"base: {folder / 'config.json'}"


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RecipeError, match=r"shape of finetune.base 'Qwen/Qwen2.5-0.5BB' is not known here") as caught:
        find_shape(FinetuneSection(base="Qwen/Qwen2.5-0.5BB"), tmp_path)
    assert "did you mean Qwen/Qwen2.5-0.5B?" in caught.value.remedy
    assert "config.json: a plan needs no more of it" in caught.value.remedy


def test_a_config_that_says_too_little_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8}))
    with pytest.raises(RecipeError, match="does not say num_attention_heads or n_head"):
        find_shape(FinetuneSection(base=str(tmp_path)), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(RecipeError, match="no such model_type 'mamba'"):
        find_shape(FinetuneSection(base=str(tmp_path)), tmp_path)
