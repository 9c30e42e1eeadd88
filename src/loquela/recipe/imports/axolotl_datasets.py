"""Axolotl's `datasets` as `examples.sources`, with the format, columns and speakers of their rows."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.recipe.imports.draft import Draft
from loquela.recipe.imports.hub_datasets import is_hub_name, local_folder, to_fetch
from loquela.recipe.imports.rules import Rule, apply, left, needless, needless_if

COLUMNS = {
    "field_messages": "messages",
    "message_field_role": "role",
    "message_field_content": "content",
    "field_chosen": "chosen",
    "field_rejected": "rejected",
    "field_instruction": "instruction",
    "field_input": "input",
    "field_output": "output",
    "field_system": "system",
    "field_tools": "tools",
}
ROLES = ("system", "user", "assistant", "tool")
RULES: dict[str, Rule] = {
    "split": needless_if("train", "all rows are read, then split", "all rows are read; keep fewer in the file"),
    "ds_type": needless("read off the file"),
    "roles_to_train": needless_if(
        ["assistant"], "answers of the assistant are learnt", "only answers of the assistant, or all, can be learnt"
    ),
    "train_on_eos": needless_if("turn", "each answer's end is learnt", "the end of every learnt answer is learnt"),
    "name": left("one configuration of the dataset; keep its files only"),
    "conversation": left("roles and columns are recognised, or named in examples.columns and examples.roles"),
    "chat_template": left("one template for all rows: examples.template"),
    "drop_system_message": needless_if(False, "kept", "system prompts of rows are kept"),
    "shards": left("all rows are read"),
    "revision": left("fetch that revision; files are known by their content"),
    "trust_remote_code": left("code that comes with a dataset is never run"),
}
UNKNOWN = "no setting of a source of rows"
DIFFER = "the datasets differ here, and examples has one for all; use one recipe for each, or rename the columns"


Wanted = dict[str, list[tuple[str, JsonValue]]]
"""Recipe key → what each dataset gives to it, by its place in the file."""


def datasets(draft: Draft) -> None:
    """Every entry of `datasets`."""
    entries = draft.value("datasets")
    parts = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not parts:
        return
    sources: list[str] = []
    wanted: Wanted = {}
    for number, entry in enumerate(parts):
        part = Draft(entry, f"datasets[{number}].")
        sources.extend(_source(part))
        dealt_with = [*_type(part, wanted), *_columns(part, wanted), *_roles(part, wanted)]
        apply(part, RULES, {}, UNKNOWN, dealt_with)
        draft.keys.extend(part.keys)
    draft.translate("datasets", {"examples.sources": [*dict.fromkeys(sources)]})
    for recipe_key, found in wanted.items():
        draft.together(recipe_key, found, DIFFER)


def _source(part: Draft) -> list[str]:
    path = str(part.value("path") or "")
    files = part.value("data_files")
    names = [str(name) for name in (files if isinstance(files, list) else [files] if files else [])]
    hub = is_hub_name(path)
    folder = local_folder(path) if hub else path
    found = [f"{folder}/{name}" if hub else name for name in names] or [folder]
    if "path" in part.given:
        part.translate("path", {"examples.sources": [*found]}, to_fetch(path) if hub else "")
    if names:
        part.translate("data_files", {"examples.sources": [*found]})
    return found


def _want(part: Draft, wanted: Wanted, recipe_key: str, place: str, value: JsonValue) -> None:
    wanted.setdefault(recipe_key, []).append((part.prefix + place, value))


def _type(part: Draft, wanted: Wanted) -> list[str]:
    kind = part.value("type")
    if isinstance(kind, dict):
        return _own_prompt(part, kind, wanted)
    if kind == "alpaca":
        _want(part, wanted, "examples.format", "type", "alpaca")
        _want(part, wanted, "examples.template", "type", "alpaca")
        return ["type"]
    if kind == "completion":
        _want(part, wanted, "examples.format", "type", "text")
        if isinstance(part.value("field"), str):
            _want(part, wanted, "examples.columns.text", "field", part.value("field"))
            return ["type", "field"]
        return ["type"]
    if isinstance(kind, str) and kind.startswith(("chat_template", "sharegpt")):
        part.needless("type", "conversations and preferences are recognised by their columns")
    elif kind is not None:
        part.leave("type", "no such way of making prompts here; rows are recognised by their columns")
    return []


def _own_prompt(part: Draft, kind: dict[str, JsonValue], wanted: Wanted) -> list[str]:
    rest = [name for name, value in kind.items() if name not in COLUMNS or not isinstance(value, str)]
    for name, column in kind.items():
        if name not in rest:
            _want(part, wanted, f"examples.columns.{COLUMNS[name]}", f"type.{name}", column)
    if rest:
        part.leave("type", f"a prompt of its own ({', '.join(rest)}); write it as examples.template: custom")
    else:
        part.needless("type", "its columns are in examples.columns")
    return []


def _columns(part: Draft, wanted: Wanted) -> list[str]:
    dealt_with = []
    for name, role in COLUMNS.items():
        if isinstance(part.value(name), str):
            _want(part, wanted, f"examples.columns.{role}", name, part.value(name))
            dealt_with.append(name)
    mappings = part.value("message_property_mappings")
    if not isinstance(mappings, dict):
        return dealt_with
    for name in ("role", "content"):
        if isinstance(mappings.get(name), str):
            place = f"message_property_mappings.{name}"
            _want(part, wanted, f"examples.columns.{name}", place, mappings[name])
    others = [name for name in mappings if name not in ("role", "content")]
    if others:
        part.leave("message_property_mappings", f"of a turn, role and content are read, not {', '.join(others)}")
        return dealt_with
    return [*dealt_with, "message_property_mappings"]


def _roles(part: Draft, wanted: Wanted) -> list[str]:
    roles = part.value("roles")
    if not isinstance(roles, dict) or not set(roles) <= set(ROLES):
        return []
    own = {role: names for role, names in roles.items() if names != [role] and isinstance(names, list)}
    for role, names in own.items():
        _want(part, wanted, f"examples.roles.{role}", f"roles.{role}", names)
    if not own:
        part.needless("roles", "the usual names")
    return ["roles"]
