"""Metrics by name: near names, a metric of an installed package, and metrics that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loquela.artifacts.examples import Example, ExampleLineage, Message
from loquela.core.errors import ErrorCode, ProofError, RecipeError
from loquela.core.registry import Registry
from loquela.evaluation.tuned import registry
from loquela.evaluation.tuned.metric_contract import AnswerContext, MetricFunction
from loquela.evaluation.tuned.preflight import fingerprint
from loquela.evaluation.tuned.registry import METRICS, check_names, direction_of, measured, metric_named
from toy_comparison import comparison_recipe

STRANGER = """
from loquela.evaluation.tuned.metric_contract import AnswerContext, lower_is_better


def shouting(answer: str, context: AnswerContext) -> float | None:
    return float(answer.isupper())


@lower_is_better
def vowels(answer: str, context: AnswerContext) -> float | None:
    return sum(letter in "aeiou" for letter in answer)


NO_FUNCTION = 3
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[MetricFunction]:
    """A package as pip would leave it: a module and its entry points on the path."""
    fresh: Registry[MetricFunction] = Registry("metric", "loquela.metrics")
    for name in METRICS.names():
        fresh.register(name, METRICS.path(name))
    (tmp_path / "stranger_metrics.py").write_text(STRANGER, encoding="utf-8")
    information = tmp_path / "stranger_metrics-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger-metrics\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[loquela.metrics]\nshouting = stranger_metrics:shouting\nvowels = stranger_metrics:vowels\n"
        "three = stranger_metrics:NO_FUNCTION\ngone = stranger_metrics:gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stranger_metrics", raising=False)
    monkeypatch.setattr(registry, "METRICS", fresh)
    return fresh


def row() -> AnswerContext:
    example = Example(
        id="row-7",
        kind="messages",
        messages=[Message(role="user", content="Say it"), Message(role="assistant", content="It")],
        lineage=ExampleLineage(source="test"),
    )
    return AnswerContext(example=example, question="Say it", passage=None, reference="It")


@pytest.mark.usefixtures("installed")
def test_a_metric_of_an_installed_package_is_one_function() -> None:
    assert "shouting" in registry.metric_names()
    assert measured("shouting", metric_named("shouting"), "LOUD", row()) == 1.0
    assert direction_of("shouting") == "higher"
    assert measured("vowels", metric_named("vowels"), "aha", row()) == 2.0
    assert direction_of("vowels") == "lower"


@pytest.mark.usefixtures("installed")
def test_what_is_registered_and_no_metric_is_named() -> None:
    with pytest.raises(RecipeError, match="'three', registered as stranger_metrics:NO_FUNCTION, is a int") as caught:
        metric_named("three")
    assert caught.value.code is ErrorCode.INVALID_METRIC
    with pytest.raises(RecipeError, match="'gone', registered as .* cannot be loaded"):
        metric_named("gone")


@pytest.mark.usefixtures("installed")
def test_another_version_of_a_metric_is_another_comparison() -> None:
    found = fingerprint(comparison_recipe(metrics=["exact_match", "shouting"]))
    assert found == {"metric shouting": "stranger_metrics:shouting 1.0"}


def test_every_built_in_metric_answers() -> None:
    for name in METRICS.names():
        value = measured(name, metric_named(name), "It", row())
        assert value is None or value >= 0


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="fail_under: no such metric 'json_validty'; did you mean 'json_validity'"):
        check_names(["exact_match", "loss", "json_validty"], where="evaluate.tuned.fail_under")


def test_a_metric_that_raises_is_named_with_its_row() -> None:
    def broken(answer: str, context: AnswerContext) -> float | None:
        return 1 / len(answer)

    with pytest.raises(ProofError, match="'broken' failed on row row-7: ZeroDivisionError") as caught:
        measured("broken", broken, "", row())
    assert caught.value.code is ErrorCode.METRIC_COMPUTATION_ERROR


def test_a_metric_must_give_a_finite_number() -> None:
    def endless(answer: str, context: AnswerContext) -> float | None:
        return float("inf")

    with pytest.raises(ProofError, match="gave inf instead of a finite number"):
        measured("endless", endless, "x", row())
