"""The size dial fills in what is left out, follows what is given, and gives its reasons."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import RecipeError
from loquela.recipe.derivation import PRESETS, derive
from loquela.recipe.keys import recipe_keys
from loquela.recipe.loading import load_recipe
from loquela.recipe.schema import ModelSize


def test_tiny_is_the_reference_model_and_the_schema_default() -> None:
    derived = {key: found.value for key, found in derive({}).items()}
    assert derived == {
        "tokenizer.vocab_size": 8000,
        "model.num_layers": 2,
        "model.d_model": 128,
        "model.num_heads": 4,
        "model.dim_feedforward": 256,
        "model.max_sequence_length": 128,
        "train.batch_size": 32,
        "train.gradient_accumulation_steps": 1,
        "train.learning_rate": 3e-4,
    }
    assert all(recipe_keys()[key].default == value for key, value in derived.items())


def test_gpt2_is_gpt2() -> None:
    resolved = load_recipe(None, ["model.size=gpt2"])
    model, train = resolved.recipe.model, resolved.recipe.train
    assert (model.num_layers, model.d_model, model.num_heads, model.dim_feedforward) == (12, 768, 12, 3072)
    assert (model.max_sequence_length, resolved.recipe.tokenizer.vocab_size) == (1024, 50257)
    assert train.batch_size * train.gradient_accumulation_steps * model.max_sequence_length == 524_288
    assert resolved.origins["model.d_model"].where == "model.size gpt2: GPT-2 small: 124 M parameters"
    assert resolved.origins["model.size"].kind == "set"


def test_explicit_values_win_and_others_follow_them() -> None:
    resolved = load_recipe(None, {"model.size": "small", "model.d_model": 256, "train.batch_size": 8})
    recipe = resolved.recipe
    assert (recipe.model.d_model, recipe.model.num_heads, recipe.model.dim_feedforward) == (256, 4, 1024)
    assert (recipe.train.batch_size, recipe.train.gradient_accumulation_steps) == (8, 4)
    assert resolved.origins["model.d_model"].kind == "set"
    reasons = {key: origin.where for key, origin in resolved.derived().items()}
    assert reasons["model.num_heads"] == "model.d_model 256: the divisor nearest to heads of width 64"
    assert reasons["model.dim_feedforward"] == "4 × model.d_model 256, the ratio of model.size small"
    assert "nearest to 32 rows per optimizer step" in reasons["train.gradient_accumulation_steps"]
    assert "train.batch_size" not in reasons


def test_a_given_tokenizer_file_brings_its_own_vocabulary() -> None:
    origins = load_recipe(None, ["model.size=gpt2", "tokenizer.model_file=x.model"]).origins
    assert origins["tokenizer.vocab_size"].kind == "default"


def test_an_unknown_size_is_left_to_validation() -> None:
    assert derive({"model.size": "huge"}) == {}
    with pytest.raises(RecipeError, match="'huge' is not allowed; allowed: one of tiny, small, medium, gpt2"):
        load_recipe(None, ["model.size=huge"])


@pytest.mark.parametrize("size", list(ModelSize))
def test_every_size_is_valid(size: ModelSize) -> None:
    preset = PRESETS[size]
    assert load_recipe(None, {"model.size": size.value}).recipe.model.num_layers == preset.num_layers
    assert preset.rows_per_step % preset.batch_size == 0


@settings(max_examples=60, deadline=None)
@given(width=st.integers(8, 16384), rows=st.integers(1, 65536), size=st.sampled_from(list(ModelSize)))
def test_derived_values_always_fit_the_given_ones(width: int, rows: int, size: ModelSize) -> None:
    recipe = load_recipe(None, {"model.size": size.value, "model.d_model": width, "train.batch_size": rows}).recipe
    assert width % recipe.model.num_heads == 0
    assert recipe.train.gradient_accumulation_steps >= 1
