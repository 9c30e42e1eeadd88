"""Reads the specification documents beside the checkout: components, their schemas, attribute lists."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

SEEDS = Path(__file__).parents[2] / "shared" / "seeds"


@dataclass(frozen=True)
class Component:
    """One component; `schemas` has the parsed JSON under "Request", "Result" and "Error"."""

    name: str
    schemas: dict[str, dict]
    trace_points: list[str]

    @property
    def error_codes(self) -> list[str]:
        return alternatives(self.schemas["Error"]["error_code"])


def seed(number: str) -> str:
    """A document by its number; "" where the checkout stands alone."""
    found = sorted(SEEDS.glob(f"{number}_*.txt"))
    return found[0].read_text(encoding="utf-8") if found else ""


def components(text: str) -> list[Component]:
    found = []
    for name, body in re.findall(
        r"^#### Component: (\w+)\n(.*?)(?=^#### Component|^## |\Z)", text, re.DOTALL | re.MULTILINE
    ):
        schemas = {}
        for label, kind in (("IN", "Request"), ("OUT", "Result"), ("Error", "Error")):
            block = re.search(rf"\*\*{label} Schema\*\*:\n```json\n(.*?)```", body, re.DOTALL)
            assert block, (name, label)
            schemas[kind] = json.loads(block[1])
        points = re.search(r"\*\*Trace Points\*\*: (.*)", body)
        assert points, name
        found.append(Component(name, schemas, [point.strip() for point in points[1].split(",")]))
    return found


def alternatives(kind: str) -> list[str]:
    """The values of "string [a|b]"; nothing for a range or a plain type."""
    bracket = re.search(r"\[([^\]]*)\]", kind)
    return [value.strip() for value in bracket[1].split("|")] if bracket and "|" in bracket[1] else []


def attributes(text: str, entity: str) -> dict[str, list[str]]:
    """Attribute → the attributes nested under it, of one entity of the data model."""
    body = re.search(rf"^### \d+\. {entity}\n(.*?)\*\*Relationships\*\*", text, re.DOTALL | re.MULTILINE)
    assert body, entity
    found: dict[str, list[str]] = {}
    current = ""
    for indent, name in re.findall(r"^( *)- `(\w+)` \(", body[1], re.MULTILINE):
        if indent:
            found[current].append(name)
        else:
            current = name
            found[current] = []
    return found
