"""YAML text → values with line numbers; nothing in the text is ever built into an object."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from pydantic import JsonValue

from loquela.recipe.problems import Problem
from loquela.recipe.scalars import ScalarError, read_scalar

DEEPEST = 24
MOST_VALUES = 20_000
"""After aliases are followed: a few hundred bytes of nested aliases would otherwise make billions of values."""

_TEXT_TAG = "tag:yaml.org,2002:str"
_KNOWN_TAGS = {_TEXT_TAG, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes and resolves no scalar: every plain one stays text for `read_scalar`."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's own class attribute, emptied

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.nodes += 1
        if self.depth > DEEPEST:
            raise self.too_much(f"nested more than {DEEPEST} levels deep")
        if self.nodes > MOST_VALUES:
            raise self.too_much(f"more than {MOST_VALUES} values")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def too_much(self, what: str) -> yaml.MarkedYAMLError:
        return yaml.composer.ComposerError(None, None, what, self.get_mark())


@dataclass
class ParsedText:
    """`lines` maps a dotted path ("train.epochs", "data.sources[1]") to its 1-based line."""

    tree: JsonValue = None
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse_yaml(text: str, name: str) -> ParsedText:
    """Parse one YAML document; syntax errors, duplicate keys and odd values become problems at `name`:line."""
    parsed = ParsedText()
    try:
        node = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = " ".join(part for part in (error.context, error.problem) if part)
        parsed.problems.append(
            Problem(f"{name}:{line}", "", f"not valid YAML: {what}", "check indentation, quotes and brackets there")
        )
        return parsed
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        parsed.problems.append(
            Problem(f"{name}:{line}", "", f"character {error.character!r} is not allowed in YAML", "remove it")
        )
        return parsed
    if node is not None:
        parsed.tree = _Reader(name, parsed).read(node, "", ())
    return parsed


class _Reader:
    def __init__(self, name: str, parsed: ParsedText) -> None:
        self.name = name
        self.parsed = parsed
        self.values = 0

    def problem(self, node: yaml.Node, path: str, text: str, remedy: str) -> None:
        self.parsed.problems.append(Problem(f"{self.name}:{node.start_mark.line + 1}", path, text, remedy))

    def read(self, node: yaml.Node, path: str, above: tuple[yaml.Node, ...]) -> JsonValue:
        self.values += 1
        if self.values > MOST_VALUES or any(node is parent for parent in above):
            if not self.parsed.problems or "aliases" not in self.parsed.problems[-1].text:
                self.problem(
                    node, path, f"aliases make more than {MOST_VALUES} values, or one inside itself", "write it out"
                )
            return None
        self.parsed.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self.read_mapping(node, path, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, f"{path}[{i}]", (*above, node)) for i, item in enumerate(node.value)]
        return self.read_leaf(node, path)

    def read_mapping(self, node: yaml.MappingNode, path: str, above: tuple[yaml.Node, ...]) -> JsonValue:
        mapping: dict[str, JsonValue] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, path, "a key must be a word", "write `key: value`")
                continue
            key = str(key_node.value)
            below = f"{path}.{key}" if path else key
            line = key_node.start_mark.line + 1
            if key in first:
                self.problem(
                    key_node, below, f"written twice; the first is in line {first[key]}", "keep one of the two"
                )
                continue
            first[key] = line
            self.parsed.lines[below] = line
            mapping[key] = self.read(value_node, below, above)
        return mapping

    def read_leaf(self, node: yaml.Node, path: str) -> JsonValue:
        text = str(node.value)
        if node.tag not in _KNOWN_TAGS and node.tag != "!":
            self.problem(node, path, f"the tag {node.tag} is not used in recipes", "remove the tag")
            return None
        if not isinstance(node, yaml.ScalarNode) or node.style is not None or node.tag == "!":
            return text
        try:
            return read_scalar(text)
        except ScalarError as error:
            self.problem(node, path, str(error), error.remedy)
            return None
