"""LLaMA-Factory's datasets: names that `dataset_info.json` explains, as files with columns and speakers."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.imports.draft import Draft
from loquela.recipe.imports.hub_datasets import local_folder, to_fetch
from loquela.recipe.imports.rules import Rule, apply, left, needless
from loquela.recipe.yaml_text import parse_yaml

INFO_NAME = "dataset_info.json"
# Columns of the alpaca form and of the sharegpt form → ours.
ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
SHAREGPT = {"messages": "messages"}
BOTH = {"system": "system", "tools": "tools", "chosen": "chosen", "rejected": "rejected", "kto_tag": "label"}
TAGS = {"role_tag": "columns.role", "content_tag": "columns.content"}
SPEAKERS = {"user_tag": "user", "assistant_tag": "assistant", "system_tag": "system", "observation_tag": "tool"}
DIFFER = "the datasets differ here, and examples has one for all; use one recipe for each, or rename the columns"
RULES: dict[str, Rule] = {
    "ranking": needless("preferences are recognised by their columns"),
    "num_samples": left("all rows are read; keep fewer in the file"),
    "split": needless("all rows are read; Loquela splits them"),
    "subset": left("one configuration of the dataset; keep its files only"),
    "folder": left("one folder of the dataset; keep its files only"),
}
UNKNOWN = "no setting of a source of rows"

Wanted = dict[str, list[tuple[str, JsonValue]]]


def datasets(draft: Draft, folder: Path) -> None:
    """`dataset` and `dataset_dir`; `folder` is where the configuration lies."""
    names = draft.value("dataset")
    wanted_names = names if isinstance(names, list) else str(names or "").split(",")
    found = [str(each).strip() for each in wanted_names if str(each).strip()]
    if not found:
        return
    directory = str(draft.value("dataset_dir") or "data")
    known = _read_info(folder, directory)
    sources: list[JsonValue] = []
    wanted: Wanted = {}
    unknown = []
    for name in found:
        entry = known.get(name)
        if isinstance(entry, dict):
            sources.append(_one(draft, name, entry, directory, wanted))
        else:
            unknown.append(name)
            sources.append(f"{directory}/{name}.json")
    note = "" if not unknown else f"no {INFO_NAME} here tells where {', '.join(unknown)} lies: put in the right files"
    draft.translate("dataset", {"examples.sources": sources}, note)
    if "dataset_dir" in draft.given:
        draft.needless("dataset_dir", "in examples.sources")
    for recipe_key, parts in wanted.items():
        draft.together(recipe_key, parts, DIFFER)


def _read_info(folder: Path, directory: str) -> dict[str, JsonValue]:
    """The first `dataset_info.json` found from the file's folder upwards, or from here; empty when there is none."""
    for start in (Path(), folder, *folder.absolute().parents):
        path = start / directory / INFO_NAME
        if path.is_file():
            # JSON is YAML; this reader refuses what is too large or too deep, and keys that stand twice.
            parsed = parse_yaml(path.read_text(encoding="utf-8"), str(path))
            if parsed.problems or not isinstance(parsed.tree, dict):
                raise RecipeError(
                    ErrorCode.CONFIG_INVALID,
                    f"{path} cannot be read as a list of datasets",
                    "mend it, or move it away to import without it",
                )
            return parsed.tree
    return {}


def _one(draft: Draft, name: str, entry: dict[str, JsonValue], directory: str, wanted: Wanted) -> str:
    part = Draft(entry, f"dataset {name}.")
    source = _source(part, directory)
    sharegpt = entry.get("formatting") == "sharegpt"
    if "formatting" in entry:
        part.needless("formatting", "the form is recognised by its columns")
    dealt_with = [
        *_mapped(part, "columns", {**(SHAREGPT if sharegpt else ALPACA), **BOTH}, "columns.", wanted),
        *_tags(part, wanted),
    ]
    apply(part, RULES, {}, UNKNOWN, dealt_with)
    draft.keys.extend(part.keys)
    return source


def _source(part: Draft, directory: str) -> str:
    for key in ("hf_hub_url", "ms_hub_url", "om_hub_url"):
        name = part.value(key)
        if isinstance(name, str) and not isinstance(part.value("file_name"), str):
            for other in ("hf_hub_url", "ms_hub_url", "om_hub_url"):
                if other != key and other in part.given:
                    part.needless(other, f"{key} says where it lies")
            part.translate(key, {"examples.sources": [local_folder(name)]}, to_fetch(name))
            return local_folder(name)
    if isinstance(part.value("script_url"), str):
        part.refuse("script_url", "code that comes with a dataset is never run; write its rows into a file")
    name = part.value("file_name")
    source = f"{directory}/{name}" if isinstance(name, str) else directory
    if "file_name" in part.given:
        part.translate("file_name", {"examples.sources": [source]})
    return source


def _mapped(part: Draft, key: str, names: dict[str, str], place: str, wanted: Wanted) -> list[str]:
    columns = part.value(key)
    if not isinstance(columns, dict):
        return []
    others = [name for name in columns if name not in names]
    for name, column in columns.items():
        if name in names and isinstance(column, str):
            wanted.setdefault(f"examples.{place}{names[name]}", []).append((f"{part.prefix}{key}.{name}", column))
    if others:
        part.leave(key, f"not read from rows: {', '.join(others)}")
    return [key]


def _tags(part: Draft, wanted: Wanted) -> list[str]:
    tags = part.value("tags")
    if not isinstance(tags, dict):
        return []
    others = [name for name in tags if name not in TAGS and name not in SPEAKERS]
    for name, value in tags.items():
        place = f"{part.prefix}tags.{name}"
        if name in TAGS and isinstance(value, str):
            wanted.setdefault(f"examples.{TAGS[name]}", []).append((place, value))
        if name in SPEAKERS and isinstance(value, str):
            wanted.setdefault(f"examples.roles.{SPEAKERS[name]}", []).append((place, [value]))
    if others:
        part.leave("tags", f"not read from turns: {', '.join(others)}")
    return ["tags"]
