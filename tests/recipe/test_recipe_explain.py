"""Every key can be explained: value, origin, default, range, meaning, influence."""

from __future__ import annotations

import pytest

from loquela.core.errors import RecipeError
from loquela.recipe.explain import INFLUENCES, explain, influence
from loquela.recipe.keys import recipe_keys, recipe_sections
from loquela.recipe.loading import load_recipe


def test_one_key() -> None:
    (found,) = explain(load_recipe(None, ["train.epochs=3"]), "train.epochs")
    assert (found.value, found.default, found.origin.kind) == (3, 20, "set")
    assert found.allowed == "a whole number ≥ 1 and ≤ 10000"
    assert found.description == "complete passes through the training shards"
    assert "learning-rate schedule" in found.influences


def test_a_section_and_the_whole() -> None:
    resolved = load_recipe(None)
    assert {found.key for found in explain(resolved, "data.normalization")} == {
        "data.normalization.unicode",
        "data.normalization.lowercase",
        "data.normalization.remove_special_chars",
    }
    assert [found.key for found in explain(resolved)] == list(recipe_keys())


def test_influences_are_of_real_keys_and_reach_all() -> None:
    assert set(INFLUENCES) <= set(recipe_keys()) | set(recipe_sections())
    assert all(influence(key) for key in recipe_keys())
    assert influence("train.optimizer.beta1") == INFLUENCES["train"]


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"^train.epoch: no such key; did you mean 'train.epochs'\?"):
        explain(load_recipe(None), "train.epoch")
