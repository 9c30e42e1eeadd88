"""The flat form of version 0 becomes the current one; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.keys import recipe_keys
from loquela.recipe.loading import load_recipe
from loquela.recipe.migration import MOVED_FROM_0, migrate
from loquela.recipe.pipeline import PipelineConfiguration
from loquela.recipe.schema import DEFAULT_SOURCES

FLAT_YAML = """\
corpus_source: my texts/a.txt
corpus_size_mb: 3
tokenizer_vocab_size: 4000
tokenizer_model_type: bpe
model_architecture:
  num_layers: 3
  d_model: 192
training_hyperparameters:
  batch_size: 16
  learning_rate: 1e-3
  num_epochs: 2
  max_sequence_length: 64
output_directory: ./out/
skip_phases: [corpus_download]
"""
FLAT_TOML = """\
corpus_source = "my texts/a.txt"
tokenizer_model_type = "bpe"
[model_architecture]
num_layers = 3
"""


def test_every_key_of_version_0_moves(tmp_path: Path) -> None:
    migration = migrate(FLAT_YAML, "old.yaml")
    path = tmp_path / "new.yaml"
    path.write_text(migration.text)
    recipe = load_recipe(path).recipe
    assert recipe.data.sources == ["my texts/a.txt"]
    assert (recipe.data.corpus_size_mb, recipe.tokenizer.vocab_size, recipe.tokenizer.method) == (3, 4000, "bpe")
    assert (recipe.model.num_layers, recipe.model.d_model, recipe.model.max_sequence_length) == (3, 192, 64)
    assert (recipe.train.batch_size, recipe.train.learning_rate, recipe.train.epochs) == (16, 0.001, 2)
    assert (str(recipe.output_directory), recipe.skip_phases) == ("out", ["corpus_download"])
    assert "training_hyperparameters.num_epochs → train.epochs" in migration.changes
    assert migration.changes[0] == "schema_version: 0 → 1"
    assert not any(change.startswith("output_directory") for change in migration.changes)


def test_toml_stays_toml(tmp_path: Path) -> None:
    migration = migrate(FLAT_TOML, "old.toml", toml=True)
    path = tmp_path / "new.toml"
    path.write_text(migration.text)
    recipe = load_recipe(path).recipe
    assert (recipe.data.sources, recipe.tokenizer.method, recipe.model.num_layers) == (["my texts/a.txt"], "bpe", 3)


def test_the_table_covers_the_flat_form_and_the_schema() -> None:
    schema = PipelineConfiguration.model_json_schema()
    flat = [name for name, spec in schema["properties"].items() if "$ref" not in spec]
    flat += [f"model_architecture.{name}" for name in schema["$defs"]["ModelArchitecture"]["properties"]]
    flat += [f"training_hyperparameters.{name}" for name in schema["$defs"]["TrainingHyperparameters"]["properties"]]
    assert sorted(flat) == sorted(MOVED_FROM_0)
    assert set(MOVED_FROM_0.values()) <= set(recipe_keys())


def test_the_default_corpus_is_named() -> None:
    assert DEFAULT_SOURCES[0] in migrate("corpus_source: gutenberg:bilingual\n", "a.yaml").text


def test_a_current_recipe_stays_as_it_is() -> None:
    text = "schema_version: 1  # mine\nseed: 3\n"
    assert migrate(text, "a.yaml").text == text
    assert migrate(text, "a.yaml").changes == []


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("corpus_sauce: a\ncorpus_size_mb: 1\n", ErrorCode.CONFIG_INVALID, "a.yaml:1: corpus_sauce: version 0 has no"),
        (
            "schema_version: 0\ntrain: {epochs: 1}\n",
            ErrorCode.CONFIG_INVALID,
            "train.epochs: version 0 has no such key",
        ),
        ("schema_version: 9\n", ErrorCode.CONFIG_VERSION, "no way from schema version 9 to 1"),
        ("- a\n", ErrorCode.CONFIG_INVALID, "a recipe is `key: value` lines"),
        ("a: [\n", ErrorCode.CONFIG_INVALID, "not valid YAML"),
    ],
)
def test_what_cannot_be_migrated(text: str, code: ErrorCode, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        migrate(text, "a.yaml")
    assert caught.value.code is code
    assert message in caught.value.message
    assert caught.value.remedy
