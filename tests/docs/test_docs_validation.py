"""The page on validation names every rule with its threshold, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from loquela.recipe.quality_rules import RULES
from loquela.recipe.validation_section import SanitizeOptions, ValidationSection

PAGE = (Path(__file__).parents[2] / "docs" / "validation.md").read_text(encoding="utf-8")


def test_every_rule_stands_there_with_its_threshold_and_meaning() -> None:
    for rule in RULES.values():
        sign = "≥" if rule.bound == "least" else "≤"
        assert f"| `{rule.name}` | {sign} {rule.threshold:g} | {rule.meaning} |" in PAGE
    assert len(re.findall(r"^\| `\w+\.\w+` \|", PAGE, re.MULTILINE)) == len(RULES)


def test_every_sanitiser_stands_there() -> None:
    for name, field in SanitizeOptions.model_fields.items():
        assert f"| `{name}` | {field.description} |" in PAGE


def test_the_examples_work() -> None:
    (recipe,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert ValidationSection.model_validate(yaml.safe_load(recipe)["validation"]).asks_anything
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/validation.md", "exec"), {})  # noqa: S102
