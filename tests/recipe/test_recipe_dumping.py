"""A saved recipe says where every value came from, and loads as the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import RecipeError
from loquela.recipe.dumping import dump_recipe, yaml_value
from loquela.recipe.keys import nest, optional_sections, recipe_keys, recipe_sections, values_of
from loquela.recipe.loading import load_recipe
from loquela.recipe.yaml_text import parse_yaml

ABSENT = tuple(f"{name}." for name in optional_sections())


def test_every_value_with_its_origin(tmp_path: Path) -> None:
    source = tmp_path / "mine.yaml"
    source.write_text("train:\n  epochs: 3\n")
    text = dump_recipe(load_recipe(source, ["name=on"], {"LOQUELA__SEED": "5"}))
    assert f"\n  epochs: 3  # file: {source}:2\n" in text
    assert '\nname: "on"  # set: --set name=on\n' in text
    assert "\nseed: 5  # environment: LOQUELA__SEED\n" in text
    assert "\n  num_layers: 2  # derived: model.size tiny: the reference two-layer model\n" in text
    assert "\n    epsilon: 1.0e-08  # default\n" in text
    there = [name for name in (*recipe_keys(), *recipe_sections()) if not f"{name}.".startswith(ABSENT)]
    assert text.count("\n") == len(there) + 1


def test_a_saved_recipe_is_a_recipe(tmp_path: Path) -> None:
    resolved = load_recipe(None, ["model.size=small", "data.sources=[a b.txt, 'c: #d']", "name=off"])
    saved = tmp_path / "recipe.yaml"
    saved.write_text(dump_recipe(resolved), encoding="utf-8")
    again = load_recipe(saved)
    assert again.recipe == resolved.recipe
    assert {origin.kind for origin in again.origins.values()} == {"file"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SETTINGS = {
    "train.learning_rate": st.floats(1e-7, 1.0),
    "train.gradient_clip_norm": st.none() | st.floats(1e-300, 1e300),
    "train.optimizer.epsilon": st.floats(min_value=5e-324, max_value=1.0),
    "seed": st.integers(0, 2**31 - 1),
    "evaluate.prompts": st.lists(TEXTS, min_size=1, max_size=3),
    "data.sources": st.lists(TEXTS.filter(bool), min_size=1, max_size=3, unique=True),
    "data.gutenberg_mirror": TEXTS,
    "compute.compile": st.sampled_from(["auto", "on", "off"]),
    "skip_phases": st.lists(st.sampled_from(["corpus_download", "tokenizer_training"])),
}


@settings(max_examples=80, deadline=None)
@given(values=st.fixed_dictionaries({}, optional=SETTINGS))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]) -> None:
    resolved = load_recipe(None, values)
    saved = tmp_path_factory.getbasetemp() / "round.yaml"
    saved.write_bytes(dump_recipe(resolved).encode("utf-8"))
    assert load_recipe(saved).recipe == resolved.recipe


@settings(max_examples=150, deadline=None)
@given(value=st.text() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False) | st.none())
def test_one_value_reads_back_as_itself(value: object) -> None:
    parsed = parse_yaml(f"x: {yaml_value(value)}  # a comment", "text")
    assert parsed.problems == []
    assert parsed.tree == {"x": value}


def test_other_yaml_readers_see_the_same_values() -> None:
    resolved = load_recipe(None, ["compute.compile=off", "train.optimizer.epsilon=1e-9", "name=1e5"])
    read = yaml.safe_load(dump_recipe(resolved))
    assert read == nest(values_of(resolved.recipe))


def test_an_odd_origin_cannot_break_the_file(tmp_path: Path) -> None:
    resolved = load_recipe(None, ["data.gutenberg_mirror=a\nseed: 7"])
    saved = tmp_path / "recipe.yaml"
    saved.write_text(dump_recipe(resolved), encoding="utf-8")
    assert load_recipe(saved).recipe == resolved.recipe


def test_text_that_yaml_cannot_hold_is_refused() -> None:
    with pytest.raises(RecipeError):
        load_recipe(None, {"name": "\ud800"})
