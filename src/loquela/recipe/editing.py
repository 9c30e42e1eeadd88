"""Change values in the text of a YAML recipe and leave the rest of it, comments too, as it stands."""

from __future__ import annotations

from collections.abc import Mapping

import yaml
from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.dumping import yaml_value
from loquela.recipe.keys import flatten
from loquela.recipe.yaml_text import parse_yaml


def set_values(text: str, values: Mapping[str, JsonValue], name: str) -> str:
    """`text` with each dotted key of `values` set, read again to prove that nothing else changed.

    RecipeError(CONFIG_INVALID) for a text of which that cannot be shown; `name` is what the message calls it.
    """
    before = _flat(text, name)
    edited = text
    for key, value in values.items():
        edited = _set(edited, key.split("."), value)
    # `section:` with nothing in it is a value until it holds one.
    kept = {key: held for key, held in before.items() if not any(each.startswith(f"{key}.") for each in values)}
    if _flat(edited, name) != {**kept, **values}:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{name} is written in a way that cannot be edited without changing something else",
            "set by hand: " + ", ".join(f"{key}: {yaml_value(value)}" for key, value in values.items()),
        )
    return edited


def _flat(text: str, name: str) -> dict[str, JsonValue]:
    parsed = parse_yaml(text, name)
    return flatten(parsed.tree) if isinstance(parsed.tree, dict) and not parsed.problems else {}


def _set(text: str, path: list[str], value: JsonValue) -> str:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    depth = 0
    while isinstance(node, yaml.MappingNode):
        found = [pair for pair in node.value if isinstance(pair[0], yaml.ScalarNode) and pair[0].value == path[depth]]
        if not found:
            return _insert(text, node, path[depth:], value)
        key, node = found[0]
        depth += 1
        if depth == len(path):
            return _replace(text, node, yaml_value(value))
        if not isinstance(node, yaml.MappingNode):
            # `section:` with nothing in it yet.
            line_end = _line_end(text, key.end_mark.index)
            indent = " " * (key.start_mark.column + 2)
            return text[:line_end] + "\n" + _block(path[depth:], value, indent) + text[line_end:]
    return text.rstrip("\n") + "\n" + _block(path, value, "") + "\n"


def _replace(text: str, node: yaml.Node, written: str) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    space = " " if start == end else ""
    return text[:start] + space + written + text[end:]


def _insert(text: str, node: yaml.MappingNode, path: list[str], value: JsonValue) -> str:
    """A new key as the first of a mapping, above the comments of the one that was first."""
    first = node.value[0][0]
    if node.flow_style:
        inside = yaml_value(value)
        for part in reversed(path[1:]):
            inside = "{" + f"{part}: {inside}" + "}"
        at = node.start_mark.index + 1
        return text[:at] + f"{path[0]}: {inside}, " + text[at:]
    indent = " " * first.start_mark.column
    if first.start_mark.column == 0:
        return text.rstrip("\n") + "\n\n" + _block(path, value, "") + "\n"
    at = text.rindex("\n", 0, first.start_mark.index) + 1
    while at:
        above = text[text.rindex("\n", 0, at - 1) + 1 if "\n" in text[: at - 1] else 0 : at - 1]
        if not above.strip().startswith("#") or len(above) - len(above.lstrip()) < len(indent):
            break
        at -= len(above) + 1
    return text[:at] + _block(path, value, indent) + "\n" + text[at:]


def _block(path: list[str], value: JsonValue, indent: str) -> str:
    lines = [f"{indent}{'  ' * depth}{part}:" for depth, part in enumerate(path)]
    return "\n".join(lines) + f" {yaml_value(value)}"


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found
