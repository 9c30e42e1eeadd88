"""The places a value can come from, each read into the same shape: dotted key → value and origin."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.near_names import nearest
from loquela.recipe.keys import JsonObject, Key, optional_sections, recipe_keys, recipe_sections
from loquela.recipe.origins import Origin, OriginKind
from loquela.recipe.problems import Problem
from loquela.recipe.schema import Recipe
from loquela.recipe.source_problems import inner_places
from loquela.recipe.toml_text import parse_toml
from loquela.recipe.yaml_text import ParsedText, parse_yaml

LARGEST_FILE_BYTES = 1_000_000
ENVIRONMENT_PREFIX = "LOQUELA__"
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
SUFFIXES = (".yaml", ".yml", ".json", ".toml")


@dataclass
class Layer:
    """`values` holds known keys only; whatever else was written is in `problems`.

    `places` tells where the parts of a list stand ("data.sources[1].language" → file:line), where that is known.
    """

    values: dict[str, tuple[JsonValue, Origin]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)


def read_text(path: Path) -> str:
    """The text of a recipe file; RecipeError for one that is absent, too large, or not UTF-8."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        near = _recipe_like(path)
        hint = f"; did you mean {near}?" if near else ""
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"there is no recipe {path}{hint}",
            f"give the path of a recipe, or write one: loquela init {path}",
        ) from error
    except OSError as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"cannot read {path}: {error.strerror}", "give a file that you may read"
        ) from error
    if len(data) > LARGEST_FILE_BYTES:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path} has more than {LARGEST_FILE_BYTES} bytes: that is not a recipe",
            "give the recipe, not the data; data belongs in data.sources",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8",
            "save the file as UTF-8",
        ) from error


def _recipe_like(path: Path) -> Path | None:
    """The recipe in the same folder whose name is nearest, suffixes aside."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    stems = {other.stem: other for other in beside if other.suffix in SUFFIXES}
    near = nearest(path.stem, stems)
    return stems[near] if near else None


def parse_file(path: Path) -> ParsedText:
    """Parse by suffix: .toml as TOML; .yaml, .yml and .json as YAML."""
    if path.suffix.lower() not in SUFFIXES:
        raise RecipeError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{path} is not a recipe by its name: it ends in {path.suffix or 'nothing'!r}",
            f"name it with one of {', '.join(SUFFIXES)}",
        )
    text = read_text(path)
    return parse_toml(text, str(path)) if path.suffix.lower() == ".toml" else parse_yaml(text, str(path))


def file_layer(parsed: ParsedText, name: str) -> Layer:
    """The layer of a parsed file."""
    layer = Layer(problems=list(parsed.problems), places=inner_places(parsed.lines, name))
    tree = {} if parsed.tree is None else parsed.tree
    if not isinstance(tree, dict):
        layer.problems.append(Problem(f"{name}:1", "", "a recipe is `key: value` lines", "see `loquela init`"))
        return layer
    broken = {problem.key for problem in parsed.problems}
    for path, value in _leaves(tree):
        where = f"{name}:{parsed.lines.get(path, 1)}"
        if path not in broken:
            _take(layer, path, value, Origin(kind="file", where=where), where)
    return layer


def object_layer(recipe: Recipe) -> Layer:
    """What was set when `recipe` was made; its defaults are left to the layers above and to the size dial."""
    layer = Layer()
    for path, value in _leaves(recipe.model_dump(mode="json", exclude_unset=True)):
        _take(layer, path, value, Origin(kind="set", where="Recipe made in Python"), "Recipe made in Python")
    return layer


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """Every variable that starts with LOQUELA__; `__` separates sections."""
    layer = Layer()
    for variable in sorted(environment):
        if variable.startswith(ENVIRONMENT_PREFIX):
            path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            _take_text(layer, path, environment[variable], "environment", variable)
    return layer


def set_layer(overrides: Mapping[str, JsonValue] | Sequence[str]) -> Layer:
    """`key=value` texts as `--set` takes them, or a mapping of dotted keys to values."""
    layer = Layer()
    if isinstance(overrides, Mapping):
        for path, value in _leaves(overrides):
            where = f"set {path}"
            _take(layer, path, value, Origin(kind="set", where=where), where)
        return layer
    for text in overrides:
        path, equals, value = text.partition("=")
        where = f"--set {text if len(text) <= 80 else text[:77] + '...'}"
        if equals:
            _take_text(layer, path.strip(), value, "set", where)
        else:
            layer.problems.append(Problem(where, "", "has no `=`", f"write --set {path or 'key'}=value"))
    return layer


def parse_value(text: str, key: Key) -> JsonValue:
    """Read what a shell gives as one string: as YAML, but text stays text whatever it looks like."""
    parsed = parse_yaml(text, "value")
    value: JsonValue = text if parsed.problems else parsed.tree
    if key.kind in ("text", "path") and not isinstance(value, str):
        return None if key.nullable and text.strip() in ("", "null", "~") else text
    if key.kind == "list" and not isinstance(value, list):
        return [text]
    return value


def _leaves(tree: Mapping[str, JsonValue], prefix: str = "") -> list[tuple[str, JsonValue]]:
    leaves: list[tuple[str, JsonValue]] = []
    sections = recipe_sections()
    for name, value in tree.items():
        path = prefix + name
        if isinstance(value, dict) and path in sections and (value or path not in optional_sections()):
            leaves.extend(_leaves(value, path + "."))
        elif value is not None or path not in sections:
            leaves.append((path, value))
    return leaves


def _take_text(layer: Layer, path: str, text: str, kind: OriginKind, where: str) -> None:
    key = recipe_keys().get(path)
    value = parse_value(text, key) if key else text
    _take(layer, path, value, Origin(kind=kind, where=where), where)


def _take(layer: Layer, path: str, value: JsonValue, origin: Origin, where: str) -> None:
    key = recipe_keys().get(path)
    fault = _unusable(value)
    if fault:
        layer.problems.append(Problem(where, path, fault, "write plain text and finite numbers"))
    elif key:
        layer.values[path] = (as_written(value, key), origin)
    elif path in recipe_sections():
        layer.problems.append(
            Problem(where, path, f"is a section, not a value; {shown(value)} came", f"write its keys: {path}.<key>")
        )
    else:
        layer.problems.append(unknown_key(path, where))


def _unusable(value: JsonValue) -> str | None:
    """What no file format can carry: NaN, infinities, half characters (bytes that are not UTF-8), NUL."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return next((fault for part in parts if (fault := _unusable(part))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a finite number"
    if isinstance(value, str) and _NO_TEXT.search(value):
        return f"{ascii(value)[:60]} has a NUL or a byte that is not UTF-8"
    return None


def as_written(value: JsonValue, key: Key) -> JsonValue:
    """Accept the few spellings that can mean one thing only.

    A single value where a list is wanted is a list of one; 1e4 is a whole number; yes, no, on and off
    are booleans where a boolean is wanted; the text "null" is null for a number that may be null (TOML has none).
    """
    if key.kind == "list" and isinstance(value, str):
        return [value]
    if key.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if key.kind == "boolean" and isinstance(value, str):
        return {"yes": True, "on": True, "no": False, "off": False}.get(value.lower(), value)
    if key.kind in ("integer", "number") and key.nullable and value == "null":
        return None
    return value


def unknown_key(path: str, where: str) -> Problem:
    """The problem of a key that no recipe has, with the nearest one that it has."""
    known = [*recipe_keys(), *recipe_sections()]
    last = path.rpartition(".")[2]
    same_name = [key for key in known if key.rpartition(".")[2] == last]
    section = path.rpartition(".")[0]
    siblings = {key.rpartition(".")[2]: key for key in known if key.rpartition(".")[0] == section}
    beside = nearest(last, siblings)
    near = same_name[0] if same_name else siblings[beside] if beside else nearest(path, known)
    if near is None:
        return Problem(where, path, "no such key", "`loquela config explain` lists every key; remove this one")
    written = near
    if where.startswith(ENVIRONMENT_PREFIX):
        written = ENVIRONMENT_PREFIX + near.replace(".", "__").upper()
    return Problem(where, path, f"no such key; did you mean {near!r}?", f"write {written}, or remove it")


def shown(value: JsonValue | JsonObject) -> str:
    """A value as a message shows it."""
    text = repr(value) if isinstance(value, str) else _plain(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: JsonValue | JsonObject) -> str:
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return str(value)
