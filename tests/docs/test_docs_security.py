"""The page on security names tests that exist, and leaves no number of the list out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "security.md").read_text(encoding="utf-8")
NUMBERS = 18


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((HOME / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_named_test_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 70
    assert [each for each in named if each[1] not in names_in(each[0])] == []


def test_every_attack_has_what_happens_and_a_test() -> None:
    rows = [line.split(" | ") for line in PAGE.split("## Every attack")[1].split("## The checklist")[0].splitlines()]
    rows = [row for row in rows if len(row) > 1][2:]
    assert all(len(row) == 4 and row[1] and row[2] and "::test_" in row[3] for row in rows)
    numbers = {int(found) for row in rows if (found := row[0].strip("| "))}
    assert numbers == set(range(1, NUMBERS + 1))
