"""TOML text → values with line numbers."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping

from pydantic import JsonValue

from loquela.recipe.problems import Problem
from loquela.recipe.yaml_text import ParsedText

_ARRAY_HEADER = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.\s\"'-]+?)\s*\]\]")
_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.\s\"'-]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([A-Za-z0-9_.\s\"'-]+?)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def parse_toml(text: str, name: str) -> ParsedText:
    """Parse TOML; syntax errors, dates and numbers that are not finite become problems at `name`:line."""
    parsed = ParsedText(lines=find_lines(text))
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what int() says of thousands of digits
        found = _AT_LINE.search(str(error))
        line = int(found.group(1)) if found else text.rstrip().count("\n") + 1
        what = _AT_LINE.sub("", str(error)).strip()
        parsed.problems.append(
            Problem(f"{name}:{line}", "", f"not valid TOML: {what}", "check quotes and brackets there")
        )
        return parsed
    except RecursionError:
        parsed.problems.append(Problem(f"{name}:1", "", "nested too deeply", "flatten it; recipes need three levels"))
        return parsed
    parsed.tree = _table(document, "", name, parsed)
    return parsed


def find_lines(text: str) -> dict[str, int]:
    """Dotted key → 1-based line, found by looking at table headers and assignments."""
    lines: dict[str, int] = {}
    table = ""
    entries: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = _ARRAY_HEADER.match(line)
        header = _HEADER.match(line)
        assignment = _ASSIGNMENT.match(line)
        if entry:
            name = _bare(entry.group(1))
            entries[name] = entries.get(name, -1) + 1
            table = f"{name}[{entries[name]}]."
            lines.setdefault(name, number)
            lines.setdefault(table[:-1], number)
        elif header:
            table = _bare(header.group(1)) + "."
            lines.setdefault(table[:-1], number)
        elif assignment:
            lines.setdefault(table + _bare(assignment.group(1)), number)
    return lines


def _bare(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _table(table: Mapping[str, object], path: str, name: str, parsed: ParsedText) -> dict[str, JsonValue]:
    return {key: _value(value, f"{path}.{key}" if path else key, name, parsed) for key, value in table.items()}


def _value(value: object, path: str, name: str, parsed: ParsedText) -> JsonValue:
    if isinstance(value, dict):
        return _table(value, path, name, parsed)
    if isinstance(value, list):
        return [_value(item, path, name, parsed) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        _complain(parsed, path, name, f"{value} is not a finite number", "write a number")
        return None
    if isinstance(value, bool | int | float | str):
        return value
    _complain(parsed, path, name, f"{value} is a date; recipes have none", "quote it if it is text")
    return None


def _complain(parsed: ParsedText, path: str, name: str, text: str, remedy: str) -> None:
    parsed.problems.append(Problem(f"{name}:{parsed.lines.get(path, 1)}", path, text, remedy))
