"""A resolved recipe as YAML: every value, its origin behind it; what is written can be read back as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pydantic import JsonValue

from loquela.recipe.keys import values_of
from loquela.recipe.origins import Origin, ResolvedRecipe
from loquela.recipe.scalars import ScalarError, read_scalar

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
# YAML refuses or folds these even between quotes; JSON leaves them as they are.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_YAML_1_1_WORDS = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}


def dump_recipe(resolved: ResolvedRecipe) -> str:
    """YAML with one key a line and its origin as a comment; `load_recipe` of it gives the same Recipe."""
    title = "# Every value of this run, and where it came from. It is a recipe: give it to `loquela run` again."
    values = values_of(resolved.recipe)
    comments = {path: str(resolved.origins.get(path, Origin(kind="default"))) for path in values}
    return "\n".join([title, *yaml_lines(values, comments)]) + "\n"


def yaml_lines(values: Mapping[str, JsonValue], comments: Mapping[str, str]) -> list[str]:
    """Dotted keys as YAML, one value a line with its comment, if it has one; keys of a section must stand together."""
    lines: list[str] = []
    open_sections: list[str] = []
    for path, value in values.items():
        *sections, name = path.split(".")
        shared = 0
        while shared < min(len(sections), len(open_sections)) and sections[shared] == open_sections[shared]:
            shared += 1
        lines.extend(f"{'  ' * depth}{sections[depth]}:" for depth in range(shared, len(sections)))
        open_sections = sections
        comment = f"  # {comment_text(comments[path])}" if comments.get(path) else ""
        lines.append(f"{'  ' * len(sections)}{name}: {yaml_value(value)}{comment}")
    return lines


def yaml_value(value: JsonValue) -> str:
    """One value on one line, read alike by YAML 1.1 and 1.2."""
    if isinstance(value, list):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml_value(key)}: {yaml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return value if _plain(value) else quoted(value)
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    return json.dumps(value)


def quoted(text: str) -> str:
    """A double-quoted YAML scalar on one line."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False))


def _plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or text.lower() in _YAML_1_1_WORDS:
        return False
    try:
        return read_scalar(text) == text
    except ScalarError:
        return False


def comment_text(text: str) -> str:
    """`text` as it may stand behind a #, on one line."""
    return _UNPRINTABLE.sub("?", text)
