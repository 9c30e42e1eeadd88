"""Recipe section data.validation: what is asked, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

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
