"""The page on fine-tuning names modules and functions that are there."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "fine-tuning.md"
LINE = re.compile(r"^(loquela\.[\w.]+) {2,}(\w.*)$", re.MULTILINE)
INLINE = re.compile(r"`(loquela\.[\w.]+)`")


def test_every_name_can_be_imported() -> None:
    text = PAGE.read_text(encoding="utf-8")
    listed = [(module, name.strip()) for module, names in LINE.findall(text) for name in names.split(",")]
    assert len(listed) >= 20
    assert [(module, name) for module, name in listed if not hasattr(import_module(module), name)] == []


def test_every_module_and_class_in_the_text_is_there() -> None:
    found = INLINE.findall(PAGE.read_text(encoding="utf-8"))
    assert found
    for path in found:
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name) or find_spec(path) is not None, path
