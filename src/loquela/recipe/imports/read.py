"""One file of another program → recipe text, and what became of each of its keys; what is written is proven to hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.recipe.dumping import comment_text, yaml_lines, yaml_value
from loquela.recipe.imports import axolotl, llama_factory
from loquela.recipe.imports.draft import Draft, ImportedKey, Outcome
from loquela.recipe.imports.hub_datasets import fetch_command
from loquela.recipe.keys import recipe_keys
from loquela.recipe.layers import read_text
from loquela.recipe.loading import resolve
from loquela.recipe.origins import Origin
from loquela.recipe.problems import recipe_error
from loquela.recipe.yaml_text import parse_yaml

SUFFIXES = (".yaml", ".yml", ".json")
MOST_CORRECTIONS = 200
HUB_NOTE = re.compile(r"hf download --repo-type dataset (\S+)")


class Imported(BoundaryModel):
    """What `loquela config import` made."""

    program: str
    file: str
    recipe: str = Field(description="text of the recipe")
    keys: list[ImportedKey]
    to_fetch: list[str] = Field(description="commands that bring datasets from a hub")

    def of(self, *outcomes: Outcome) -> list[ImportedKey]:
        """The keys with one of these outcomes."""
        return [each for each in self.keys if each.outcome in outcomes]


def import_config(path: Path) -> Imported:
    """Translate the file at `path`.

    Raises RecipeError: UNSUPPORTED_FORMAT for a file of neither program or for training of a kind that Loquela does
    not do, CONFIG_INVALID for one that cannot be read.
    """
    draft = _read(path)
    program = _translate(draft, path)
    draft.values.setdefault("schema_version", 1)
    draft.values.setdefault("name", _run_name(path))
    if not draft.values.get("examples.sources"):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} names no datasets", "add them to that file, then import it again"
        )
    _withdraw_unused(draft)
    _prove(draft, path)
    names = [match[1] for each in draft.keys if (match := HUB_NOTE.search(each.note))]
    to_fetch = [fetch_command(name) for name in dict.fromkeys(names)]
    return Imported(
        program=program,
        file=str(path),
        recipe=_text(draft, program, path, to_fetch),
        keys=draft.keys,
        to_fetch=to_fetch,
    )


def _read(path: Path) -> Draft:
    if path.suffix.lower() not in SUFFIXES:
        raise RecipeError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{path} is neither YAML nor JSON by its name",
            f"give a configuration that ends in {', '.join(SUFFIXES)}",
        )
    parsed = parse_yaml(read_text(path), str(path))
    if parsed.problems:
        raise recipe_error(parsed.problems)
    if not isinstance(parsed.tree, dict):
        raise _neither(path)
    return Draft(parsed.tree)


def _translate(draft: Draft, path: Path) -> str:
    if "base_model" in draft.given:
        axolotl.translate(draft)
        return axolotl.NAME
    if "model_name_or_path" in draft.given and ("dataset" in draft.given or "do_train" in draft.given):
        llama_factory.translate(draft, path.parent)
        return llama_factory.NAME
    raise _neither(path)


def _neither(path: Path) -> RecipeError:
    return RecipeError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"{path} is no training configuration of axolotl (base_model: …) or LLaMA-Factory (model_name_or_path: … with "
        "dataset: …)",
        "give the YAML file that one of them trains with",
    )


def _run_name(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return name[:64] or "imported"


def _withdraw_unused(draft: Draft) -> None:
    """How a base is quantised means nothing where none is."""
    if draft.values.get("finetune.method") != "qlora":
        for key in [key for key in draft.values if key.startswith("finetune.quantization.")]:
            draft.withdraw(key, "the base is not quantised to 4 bits")


def _prove(draft: Draft, path: Path) -> None:
    """Take back, with the reason, every value that a recipe cannot hold; what is left is a recipe."""
    for _ in range(MOST_CORRECTIONS):
        origin = Origin(kind="file", where=str(path))
        try:
            resolve({key: (value, origin) for key, value in draft.values.items()})
        except RecipeError as error:
            if not any(draft.withdraw(key, why) for key, why in _problems(error)):
                raise
        else:
            return


def _problems(error: RecipeError) -> list[tuple[str, str]]:
    problems = error.details.get("problems")
    rows = [row for row in problems if isinstance(row, dict)] if isinstance(problems, list) else []
    return [(str(row.get("key")), f"a recipe cannot hold it: {row.get('message')}") for row in rows]


def _text(draft: Draft, program: str, path: Path, to_fetch: list[str]) -> str:
    order = list(recipe_keys())
    values = dict(sorted(draft.values.items(), key=lambda item: order.index(item[0])))
    head = [f"# Made from {path.name} of {program}. Every key of it is here: translated, or listed at the end."]
    head += [f"# First: {command}" for command in to_fetch]
    return "\n".join([*head, *yaml_lines(values, _comments(draft.keys, values)), *_tail(draft.keys)]) + "\n"


def _comments(keys: list[ImportedKey], values: Mapping[str, JsonValue]) -> dict[str, str]:
    """Behind each value, the key that it comes from, and what is not quite the same."""
    comments: dict[str, str] = {}
    for each in keys:
        for recipe_key in each.to:
            if recipe_key in values:
                source = f"{each.key}, its default" if each.outcome == "default" else each.key
                said = source + (f"; {each.note}" if each.note else "")
                comments.setdefault(recipe_key, said)
    return comments


def _tail(keys: list[ImportedKey]) -> list[str]:
    lines = []
    for title, outcomes in (
        ("Refused:", ("refused",)),
        ("Not translated:", ("left",)),
        ("Not needed:", ("needless",)),
    ):
        found = [each for each in keys if each.outcome in outcomes]
        if found:
            lines += ["", f"# {title}"]
            lines += [comment_text(f"#   {each.key}: {yaml_value(each.value)}  ({each.note})") for each in found]
    return lines
