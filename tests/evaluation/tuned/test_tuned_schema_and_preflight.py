"""Before anything is trained: names, limits, the schema file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, RecipeError
from loquela.evaluation.tuned.general_questions import PROSE, QUESTIONS
from loquela.evaluation.tuned.preflight import check_metrics, fingerprint
from loquela.evaluation.tuned.schema_file import read_schema
from loquela.recipe.schema import Recipe
from toy_comparison import comparison_recipe


def test_only_recipes_that_fine_tune_are_looked_at() -> None:
    assert check_metrics(Recipe()) == []
    found = check_metrics(comparison_recipe())
    assert found[0].passed
    assert found[0].message == "base and adapter will be compared by 16 metrics"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"metrics": ["exact_mach"]},
            "evaluate.tuned.metrics: no such metric 'exact_mach'; did you mean 'exact_match'",
        ),
        ({"fail_under": {"json_validty": 0.9}}, "fail_under: no such metric 'json_validty'; did you mean"),
        ({"metrics": ["token_f1"], "fail_under": {"exact_match": 0.9}}, "names exact_match, which is not measured"),
        ({"fail_under": {"perplexity": 3}}, "perplexity is not a metric of which more is better"),
        ({"fail_under": {"over_refusal": 0.1}}, "over_refusal is not a metric of which more is better"),
        ({"fail_under": {"answer_tokens": 5}}, "answer_tokens is not a metric of which more is better"),
    ],
)
def test_what_cannot_be_measured_or_held_is_said(settings: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_metrics(comparison_recipe(**settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"metrics": ["token_f1", "token_f1"]}, "'token_f1' stands in metrics twice"),
        ({"forgetting": False, "max_forgetting": 0.1}, "max_forgetting needs the check"),
        ({"metrics": ["token_f1"], "json_schema": "x.json"}, "the metric of this name is not in metrics"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        comparison_recipe(**settings)


def test_a_schema_says_what_fits(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    name = {"$ref": "#/$defs/name"}
    text = {"type": "object", "required": ["name"], "properties": {"name": name}, "$defs": {"name": {"type": "string"}}}
    path.write_text(json.dumps(text))
    schema = read_schema(path)
    assert schema.is_valid({"name": "x"})
    assert not schema.is_valid({"name": 3})
    assert not schema.is_valid([])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no JSON"),
        ("[1]", "a schema is an object"),
        ('{"type": "objekt"}', "it is no JSON schema: 'objekt' is not valid"),
        ('{"$ref": "https://example.org/schema.json"}', "refers to https://example.org/schema.json, which"),
        ('{"properties": {"a": {"$ref": "#/$defs/none"}}}', "refers to #/[$]defs/none, which does not stand in it"),
    ],
)
def test_a_file_that_is_no_schema_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        check_metrics(comparison_recipe(json_schema=str(path)))
    assert caught.value.code is ErrorCode.CONFIG_INVALID


def test_a_schema_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        check_metrics(comparison_recipe(json_schema=str(tmp_path / "none.json")))


def test_another_schema_is_another_comparison(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text("{}")
    recipe = comparison_recipe(json_schema=str(path))
    before = fingerprint(recipe)
    path.write_text('{"type": "object"}')
    assert fingerprint(recipe) != before
    assert fingerprint(comparison_recipe()) == {}


def test_general_questions_are_well_made() -> None:
    for kind, questions in QUESTIONS.items():
        assert len(questions) >= 10, kind
        for asked in questions:
            assert len(asked.choices) == 4, asked
            assert len(set(asked.choices)) == 4, asked
            assert asked.text == asked.text.strip() and all(choice for choice in asked.choices), asked
    assert len(set(PROSE)) == len(PROSE) == 6
