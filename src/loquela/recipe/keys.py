"""What a recipe may hold, read off the schema: every dotted key with its type, range, default and help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import JsonValue

from loquela.recipe.schema import Recipe
from loquela.recipe.source_entry import SourceEntry

JsonObject = dict[str, JsonValue]
KeyKind = Literal["integer", "number", "boolean", "text", "path", "list", "mapping"]

# The list whose items may be written out, with keys of their own.
SOURCES_KEY = "data.sources"

_KINDS: dict[str, KeyKind] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "mapping",
}


@dataclass(frozen=True)
class Key:
    """One leaf of the recipe; `choices` is empty when any value of the kind and range will do."""

    path: str
    kind: KeyKind
    nullable: bool
    choices: tuple[JsonValue, ...]
    allowed: str
    default: JsonValue
    description: str
    required: bool = False


def flatten(tree: Mapping[str, JsonValue], prefix: str = "") -> dict[str, JsonValue]:
    """Nested mapping → dotted leaf keys; lists are leaves, empty mappings vanish."""
    flat: dict[str, JsonValue] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def nest(flat: Mapping[str, JsonValue]) -> JsonObject:
    """Dotted leaf keys → nested mapping, in the order given."""
    tree: JsonObject = {}
    for path, value in flat.items():
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            below = branch.setdefault(section, {})
            if not isinstance(below, dict):
                raise ValueError(f"{path!r} goes through {section!r}, which is a value")
            branch = below
        branch[name] = value
    return tree


@cache
def recipe_keys() -> dict[str, Key]:
    """Every leaf key of `Recipe` by dotted path, in the schema's order."""
    schema: JsonObject = Recipe.model_json_schema()
    definitions = _objects(schema.get("$defs"))
    defaults = values_of(Recipe())
    keys: dict[str, Key] = {}
    _collect(schema, definitions, "", defaults, keys)
    return keys


def values_of(recipe: Recipe) -> dict[str, JsonValue]:
    """Every leaf of `recipe` by dotted path; sections that are left out have none, a mapping is one value."""
    return dict(_leaves_of(recipe.model_dump(mode="json"), ""))


def _leaves_of(tree: JsonObject, prefix: str) -> Iterator[tuple[str, JsonValue]]:
    for name, value in tree.items():
        path = prefix + name
        if path not in recipe_sections():
            yield path, value
        elif isinstance(value, dict):
            yield from _leaves_of(value, path + ".")


@cache
def source_keys() -> dict[str, Key]:
    """Every leaf key of an entry of `data.sources`, in the schema's order ("language", "objects.endpoint")."""
    schema: JsonObject = SourceEntry.model_json_schema()
    keys: dict[str, Key] = {}
    _collect(schema, _objects(schema.get("$defs")), "", {}, keys)
    return keys


@cache
def recipe_sections() -> dict[str, str]:
    """Every section of `Recipe` by dotted path, with its help."""
    return {path: str(section.get("description", "")) for path, section, _ in _walk_sections()}


@cache
def optional_sections() -> frozenset[str]:
    """The sections that a recipe may leave out altogether: without a key in it, such a section is not there."""
    return frozenset(path for path, _, optional in _walk_sections() if optional)


def _walk_sections() -> Iterator[tuple[str, JsonObject, bool]]:
    """Path, schema and whether it may be left out, of every section, outer ones first."""
    schema: JsonObject = Recipe.model_json_schema()
    definitions = _objects(schema.get("$defs"))
    waiting = [("", schema)]
    while waiting:
        prefix, found = waiting.pop(0)
        for name, spec in _objects(found.get("properties")).items():
            target = _section(spec, definitions)
            if "properties" in target:
                yield prefix + name, target, "anyOf" in spec
                waiting.append((f"{prefix}{name}.", target))


def _objects(value: JsonValue) -> dict[str, JsonObject]:
    found = value if isinstance(value, dict) else {}
    return {name: part for name, part in found.items() if isinstance(part, dict)}


def _resolve(spec: JsonObject, definitions: dict[str, JsonObject]) -> JsonObject:
    reference = spec.get("$ref")
    if not isinstance(reference, str):
        return spec
    return {**definitions[reference.rpartition("/")[2]], **{k: v for k, v in spec.items() if k != "$ref"}}


def _section(spec: JsonObject, definitions: dict[str, JsonObject]) -> JsonObject:
    """What `spec` refers to; of a section that may be null, the section."""
    alternatives = spec.get("anyOf")
    options = [part for part in alternatives if isinstance(part, dict)] if isinstance(alternatives, list) else []
    present = [_resolve(option, definitions) for option in options if option.get("type") != "null"]
    if len(present) == 1 and "properties" in present[0]:
        return present[0]
    return _resolve(spec, definitions)


def _collect(
    schema: JsonObject,
    definitions: dict[str, JsonObject],
    prefix: str,
    defaults: dict[str, JsonValue],
    keys: dict[str, Key],
) -> None:
    required = schema.get("required")
    for name, spec in _objects(schema.get("properties")).items():
        target = _section(spec, definitions)
        path = prefix + name
        if "properties" in target:
            _collect(target, definitions, path + ".", defaults, keys)
        else:
            must = isinstance(required, list) and name in required
            keys[path] = _key(path, target, definitions, defaults.get(path, target.get("default")), required=must)


def _key(path: str, spec: JsonObject, definitions: dict[str, JsonObject], default: JsonValue, *, required: bool) -> Key:
    alternatives = spec.get("anyOf")
    options = [part for part in alternatives if isinstance(part, dict)] if isinstance(alternatives, list) else [spec]
    nullable = any(option.get("type") == "null" for option in options)
    value_spec = _resolve(next(option for option in options if option.get("type") != "null"), definitions)
    kind = _kind(value_spec)
    choices = _choices(value_spec)
    allowed = _allowed(kind, value_spec, choices, definitions) + (", or null" if nullable else "")
    return Key(path, kind, nullable, choices, allowed, default, str(spec.get("description", "")), required)


def _kind(spec: JsonObject) -> KeyKind:
    if spec.get("format") == "path":
        return "path"
    return _KINDS.get(str(spec.get("type")), "text")


def _choices(spec: JsonObject) -> tuple[JsonValue, ...]:
    if "const" in spec:
        return (spec["const"],)
    choices = spec.get("enum")
    return tuple(choices) if isinstance(choices, list) else ()


def _allowed(
    kind: KeyKind, spec: JsonObject, choices: tuple[JsonValue, ...], definitions: dict[str, JsonObject]
) -> str:
    if choices:
        return ("one of " if len(choices) > 1 else "") + ", ".join(str(choice) for choice in choices)
    if kind == "list":
        items = spec.get("items")
        item = _resolve(items, definitions) if isinstance(items, dict) else {}
        least = "at least one value, each " if spec.get("minItems") else ""
        if "discriminator" in item:
            return "a list of entries, each with the keys of its kind"
        if "oneOf" in item:
            return f"a list of {least}text, or an entry with an address and options"
        return f"a list of {least}{_allowed(_kind(item), item, _choices(item), definitions)}"
    if kind == "boolean":
        return "true or false"
    if kind == "mapping":
        return "a mapping"
    if kind in ("text", "path"):
        pattern = spec.get("pattern")
        return {"text": "text", "path": "a path"}[kind] + (f" matching {pattern}" if pattern else "")
    return " ".join([{"integer": "a whole number", "number": "a number"}[kind], *_bounds(spec)])


def _bounds(spec: JsonObject) -> list[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = []
    for name, sign in signs.items():
        bound = spec.get(name)
        if isinstance(bound, int | float):
            bounds.append(f"{sign} {bound:g}" if abs(bound) < 1e6 else f"{sign} {int(bound)}")
    return [" and ".join(bounds)] if bounds else []
