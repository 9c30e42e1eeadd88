"""Recipe section data.validation: what is asked, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from loquela.core.errors import RecipeError
from loquela.recipe.loading import load_recipe
from loquela.recipe.quality_rules import RULE_SETS, RULES
from loquela.recipe.validation_section import ValidationSection


def test_every_rule_belongs_to_a_set_and_says_what_it_measures() -> None:
    assert {rule.rule_set for rule in RULES.values()} == set(RULE_SETS)
    assert all(rule.meaning for rule in RULES.values())
    assert len(RULES) == 39


@pytest.mark.parametrize(
    "section",
    [
        {"rule_sets": ["c4"]},
        {"min_quality_score": 0.1},
        {"languages": ["es"]},
        {"patterns": [{"name": "x", "pattern": "x"}]},
        {"pii": {"kinds": ["ip"]}},
        {"sanitize": {"zero_width": True}},
    ],
)
def test_anything_asked_is_seen(section: dict) -> None:
    assert ValidationSection.model_validate(section).asks_anything


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"thresholds": {"fineweb.short_line": 1}}, "no such quality rule 'fineweb.short_line'; did you mean"),
        ({"thresholds": {"fineweb.short_lines": 1}}, "is never asked: add fineweb to rule_sets"),
        ({"rule_sets": ["c4", "c4"]}, "'c4' stands twice in one list"),
        ({"pii": {"kinds": ["ip", "ip"]}}, "'ip' stands twice in one list"),
        (
            {"patterns": [{"name": "a", "pattern": "x"}, {"name": "a", "pattern": "y"}]},
            "'a' stands twice in one list",
        ),
        ({"languages": ["English"]}, "should match pattern"),
        ({"rule_sets": ["gopher"]}, "Input should be 'basic'"),
        ({"min_quality_score": 2}, "less than or equal to 1"),
    ],
)
def test_refused(section: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ValidationSection.model_validate(section)


def test_problems_are_said_of_the_key_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "data:\n  validation:\n    thresholds: {fineweb.short_line: 0.8}\n"
        "    patterns: [{name: a, pattern: x, action: shout}, {name: b, patern: x}]\n",
        encoding="utf-8",
    )
    with pytest.raises(RecipeError, match="the recipe has 4 problems") as caught:
        load_recipe(path)
    said = str(caught.value)
    assert "r.yaml:3: data.validation.thresholds: no such quality rule 'fineweb.short_line'" in said
    assert "did you mean 'fineweb.short_lines'?" in said
    assert "r.yaml:4: data.validation.patterns[0].action: Input should be 'drop', 'redact' or 'warn'" in said
    assert "data.validation.patterns[1].pattern: is missing" in said
    assert "data.validation.patterns[1].patern: is no key here" in said
