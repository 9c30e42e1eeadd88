"""A query of a recipe, checked before any database sees it: one SELECT, its values apart from its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from loquela.core.errors import ErrorCode, RecipeError

Parameter = str | int | float | bool | None

# What SQL is made of, as far as the checks need to know; quoted things first, so that nothing inside them counts.
TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<literal>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?P=tag)?\$)"
    r'|(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)'
    r"|(?P<cast>::)"
    r"|(?P<name>:[A-Za-z_]\w*)"
    r"|(?P<mark>%s\b|%\(\w+\)s|\{\w*\}|\$\d+|\?)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
# A literal that is nothing but a place for a value to be pasted into.
PASTED = re.compile(r"'(?:%s|%\(\w+\)s|\{\w*\})'")


@dataclass(frozen=True)
class Statement:
    """`sql` has its values as :name and is ready for sqlalchemy.text; `parameters` are the values."""

    sql: str
    parameters: Mapping[str, Parameter]


def checked_statement(query: str, parameters: Mapping[str, Parameter]) -> Statement:
    """`query` as one parameterised SELECT.

    Raises RecipeError(INVALID_SOURCE) for another statement or several, for formatting marks, for a name without a
    value or a value without a name, and without ORDER BY.
    """
    tokens = [(match.lastgroup or "other", match[0]) for match in TOKEN.finditer(query)]
    # An unnamed group inside a dollar-quoted literal is reported as the last group.
    tokens = [("literal" if kind == "tag" else kind, text) for kind, text in tokens if kind != "comment"]
    while tokens and (tokens[-1][0] == "space" or tokens[-1][1] == ";"):
        tokens.pop()
    _require_one_select(tokens)
    _require_no_marks(tokens)
    _require_matching(tokens, parameters)
    _require_order(tokens)
    return Statement("".join(_escaped(kind, text) for kind, text in tokens).strip(), dict(parameters))


def _require_one_select(tokens: list[tuple[str, str]]) -> None:
    first = next((text for kind, text in tokens if kind != "space"), "")
    if first.upper() not in ("SELECT", "WITH"):
        raise _refused(f"begins with {first[:20]!r}; only SELECT and WITH … SELECT are run", "write one SELECT")
    if any(text == ";" for _, text in tokens):
        raise _refused("holds more than one statement", "keep the SELECT and remove what follows the semicolon")
    if any(text in ("'", '"', "`") for kind, text in tokens if kind == "other"):
        raise _refused("has a quote that is not closed", "close it")


def _require_no_marks(tokens: list[tuple[str, str]]) -> None:
    for kind, text in tokens:
        if kind == "mark" or (kind == "literal" and PASTED.fullmatch(text)):
            raise _refused(
                f"has the formatting mark {text}; values are never pasted into a query",
                "write :name in its place and name: value under database.parameters",
            )


def _require_matching(tokens: list[tuple[str, str]], parameters: Mapping[str, Parameter]) -> None:
    names = {text[1:] for kind, text in tokens if kind == "name"}
    without = sorted(names - set(parameters))
    unused = sorted(set(parameters) - names)
    if without:
        raise _refused(f"names :{without[0]}, which has no value", f"write {without[0]}: … under database.parameters")
    if unused:
        raise _refused(f"does not use the parameter {unused[0]}", f"write :{unused[0]} in the query, or remove it")


def _require_order(tokens: list[tuple[str, str]]) -> None:
    depth = 0
    words: list[str] = []
    for kind, text in tokens:
        depth += (text == "(") - (text == ")")
        if depth == 0 and kind == "word":
            words.append(text.upper())
    if ("ORDER", "BY") not in pairwise(words):
        raise _refused(
            "has no ORDER BY, so its rows may come in another order every time",
            "end it with ORDER BY and a column that is different in every row",
        )


def _escaped(kind: str, text: str) -> str:
    """What is quoted, with its colons marked as such for sqlalchemy.text."""
    return text.replace(":", r"\:") if kind in ("literal", "quoted") else text


def _refused(what: str, remedy: str) -> RecipeError:
    return RecipeError(ErrorCode.INVALID_SOURCE, f"the query of the database source {what}", remedy)
