"""Recipes of older schema versions, brought to the current one key by key; nothing is guessed.

Version 0 is the flat pipeline configuration (see pipeline.py). Values are moved as they are; whether they hold
is for `load_recipe` to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.near_names import nearest
from loquela.recipe.dumping import quoted, yaml_value
from loquela.recipe.keys import flatten, nest
from loquela.recipe.pipeline import GUTENBERG_BILINGUAL
from loquela.recipe.problems import Problem, recipe_error
from loquela.recipe.schema import DEFAULT_SOURCES, SCHEMA_VERSION
from loquela.recipe.toml_text import parse_toml
from loquela.recipe.versions import version_of
from loquela.recipe.yaml_text import ParsedText, parse_yaml

MOVED_FROM_0 = {
    "corpus_source": "data.sources",
    "corpus_size_mb": "data.corpus_size_mb",
    "tokenizer_vocab_size": "tokenizer.vocab_size",
    "tokenizer_model_type": "tokenizer.method",
    "model_architecture.num_layers": "model.num_layers",
    "model_architecture.d_model": "model.d_model",
    "model_architecture.num_heads": "model.num_heads",
    "model_architecture.dim_feedforward": "model.dim_feedforward",
    "training_hyperparameters.batch_size": "train.batch_size",
    "training_hyperparameters.learning_rate": "train.learning_rate",
    "training_hyperparameters.num_epochs": "train.epochs",
    "training_hyperparameters.max_sequence_length": "model.max_sequence_length",
    "output_directory": "output_directory",
    "resume_from_checkpoint": "resume_from_checkpoint",
    "skip_phases": "skip_phases",
}


@dataclass(frozen=True)
class Migration:
    """The recipe in the current version, and what was done; no changes when it already was."""

    text: str
    changes: list[str]


def migrate(text: str, name: str, *, toml: bool = False) -> Migration:
    """Bring the text of a recipe (called `name` in messages) to the current version, in its own format.

    Raises RecipeError: CONFIG_INVALID for text that is not valid or a key that no version had, CONFIG_VERSION for a
    version newer than ours.
    """
    parsed = parse_toml(text, name) if toml else parse_yaml(text, name)
    if parsed.problems:
        raise recipe_error(parsed.problems)
    if not isinstance(parsed.tree, dict):
        raise recipe_error([Problem(f"{name}:1", "", "a recipe is `key: value` lines", "see `loquela init`")])
    version = version_of(parsed.tree)
    if version == SCHEMA_VERSION:
        return Migration(text, [])
    if version != 0:
        raise RecipeError(
            ErrorCode.CONFIG_VERSION,
            f"{name}: there is no way from schema version {version} to {SCHEMA_VERSION}",
            f"versions 0 to {SCHEMA_VERSION} are known; upgrade Loquela if the recipe is newer",
        )
    return _from_0(parsed, name, toml)


def _from_0(parsed: ParsedText, name: str, toml: bool) -> Migration:
    tree = parsed.tree if isinstance(parsed.tree, dict) else {}
    values: dict[str, JsonValue] = {"schema_version": SCHEMA_VERSION}
    changes = [f"schema_version: 0 → {SCHEMA_VERSION}"]
    problems = []
    for old, value in flatten(tree).items():
        new = MOVED_FROM_0.get(old)
        if old == "schema_version":
            continue
        if new is None:
            near = nearest(old, MOVED_FROM_0)
            hint = f"; did you mean {near!r}?" if near else ""
            where = f"{name}:{parsed.lines.get(old, 1)}"
            problems.append(Problem(where, old, f"version 0 has no such key{hint}", "mend or remove it first"))
            continue
        values[new] = _sources(value) if new == "data.sources" else value
        if new != old:
            changes.append(f"{old} → {new}")
    if problems:
        raise recipe_error(problems)
    ordered = {key: values[key] for key in sorted(values, key=lambda key: ("." in key, key.rpartition(".")[0]))}
    return Migration(_toml(nest(ordered)) if toml else _yaml(nest(ordered)), changes)


def _sources(value: JsonValue) -> JsonValue:
    if value == GUTENBERG_BILINGUAL:
        return [*DEFAULT_SOURCES]
    return value if isinstance(value, list) else [value]


def _yaml(tree: dict[str, JsonValue]) -> str:
    lines = []
    for name, value in tree.items():
        if isinstance(value, dict):
            lines.append(f"{name}:")
            lines.extend(f"  {key}: {yaml_value(item)}" for key, item in value.items())
        else:
            lines.append(f"{name}: {yaml_value(value)}")
    return "\n".join(lines) + "\n"


def _toml(tree: dict[str, JsonValue]) -> str:
    lines = [f"{name} = {_toml_value(value)}" for name, value in tree.items() if not isinstance(value, dict)]
    for name, value in tree.items():
        if isinstance(value, dict):
            lines += ["", f"[{name}]", *(f"{key} = {_toml_value(item)}" for key, item in value.items())]
    return "\n".join(lines) + "\n"


def _toml_value(value: JsonValue) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return quoted(value) if isinstance(value, str) else yaml_value(value)
