"""What each metric of answers counts, by examples written out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from loquela.artifacts.examples import Example, ExampleLineage, Message
from loquela.core.errors import ProofError
from loquela.evaluation.tuned.metric_contract import AnswerContext
from loquela.evaluation.tuned.metrics.agreement import exact_match, token_f1
from loquela.evaluation.tuned.metrics.behaviour import stop_rate
from loquela.evaluation.tuned.metrics.citations import citation_rate, cited_numbers, cites
from loquela.evaluation.tuned.metrics.groundedness import groundedness, supported_share
from loquela.evaluation.tuned.metrics.json_answers import NOT_JSON, json_of, json_schema, json_validity
from loquela.evaluation.tuned.metrics.refusals import (
    is_refusal,
    over_refusal,
    refusal_correctness,
    refusal_precision,
    refusal_recall,
)
from loquela.evaluation.tuned.rates import (
    compute_citation_rate,
    compute_json_validity_rate,
    compute_perplexity,
    compute_refusal_correctness_rate,
    compute_retrieval_groundedness_rate,
)


def context(
    reference: str | None = "Paris",
    *,
    question: str = "What is the capital of France?",
    passage: str | None = None,
    language: str = "en",
    expects_refusal: bool = False,
) -> AnswerContext:
    example = Example(
        id="1",
        kind="messages",
        messages=[Message(role="user", content=question), Message(role="assistant", content=reference or "")],
        language=language,
        lineage=ExampleLineage(source="test"),
    )
    return AnswerContext(
        example=example, question=question, passage=passage, reference=reference, expects_refusal=expects_refusal
    )


# ── agreement ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "reference", "language", "matches"),
    [
        ("the Paris!", "Paris", "en", 1.0),
        ("Paris, France", "Paris", "en", 0.0),
        ("La casa roja.", "casa roja", "es", 1.0),
        ("La casa roja.", "casa roja", "en", 0.0),  # "la" is an article in Spanish only
        ("The", "a", "en", 0.0),
        ("東京。", "東京", "ja", 1.0),
        ('{"b": 1, "a": [2]}', '{"a": [2], "b": 1}', "en", 1.0),
        ('{"a": 2}', '{"a": [2]}', "en", 0.0),
        ("not json", '{"a": 1}', "en", 0.0),
    ],
)
def test_exact_match_compares_words_and_json_values(answer: str, reference: str, language: str, matches: float) -> None:
    assert exact_match(answer, context(reference, language=language)) == matches


def test_token_f1_is_the_harmonic_mean_of_shared_words() -> None:
    # Given: red, house, hill; wanted: red, house, on, hill, top. Shared 3: precision 3/3, recall 3/5.
    assert token_f1("the red house hill", context("the red house on the hill top")) == pytest.approx(6 / 8)
    assert token_f1("nothing alike", context("Paris")) == 0.0
    assert token_f1("", context("Paris")) == 0.0
    assert token_f1("Paris Paris", context("Paris")) == pytest.approx(2 / 3)


def test_agreement_says_nothing_of_rows_that_want_a_refusal_or_have_no_answer() -> None:
    assert exact_match("Paris", context(None)) is None
    assert token_f1("Paris", context("It does not say.", expects_refusal=True)) is None


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"a": 1}', True),
        (" [1, 2]\n", True),
        ('```json\n{"a": 1}\n```', False),
        ('{"a": NaN}', False),
        ('{"a": 1', False),
        ("3", False),
        ("[" * 100_000, False),
    ],
)
def test_json_is_taken_strictly(text: str, valid: bool) -> None:
    assert (json_of(text) is not NOT_JSON) is valid


def test_json_validity_looks_only_at_rows_that_want_json() -> None:
    assert json_validity('{"a": 2}', context('{"a": 1}')) == 1.0
    assert json_validity("a: 2", context('{"a": 1}')) == 0.0
    assert json_validity('{"a": 2}', context("Paris")) is None


def test_json_schema_is_stricter_than_validity() -> None:
    schema = Draft202012Validator({"type": "object", "required": ["name"]})
    row = replace(context('{"name": "x"}'), schema=schema)
    assert json_schema('{"name": "y"}', row) == 1.0
    assert json_schema('{"nam": "y"}', row) == 0.0
    assert json_schema("none", row) == 0.0
    assert json_schema('{"name": "y"}', context('{"name": "x"}')) is None


# ── citations ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "Water boils at 100 °C [1].",
        "So it is [2, 3] and [4-6].",
        "As shown【1†source】.",
        "It is so [Source: handbook, p. 3].",
        "It is so (Smith et al., 2019).",
        "It is so.\nSources: the handbook",
        "See [the page](https://example.org/a).",
        "Así es [fuente: manual].",
    ],
)
def test_sources_are_recognised(text: str) -> None:
    assert cites(text)


@pytest.mark.parametrize("text", ["No source at all.", "In 1999 (a good year) it was so.", "x[i] is a list", "f(2019)"])
def test_brackets_alone_are_no_source(text: str) -> None:
    assert not cites(text)


def test_cited_numbers_count_ranges_out() -> None:
    assert cited_numbers("a [1], b [3-5] and [7; 9]") == {1, 3, 4, 5, 7, 9}


def test_an_invented_source_is_no_citation() -> None:
    row = context("It boils [2].", passage="[1] Ice melts. [2] Water boils at 100 °C.")
    assert citation_rate("It boils at 100 °C [2].", row) == 1.0
    assert citation_rate("It boils at 100 °C [7].", row) == 0.0
    assert citation_rate("It boils at 100 °C.", row) == 0.0
    assert citation_rate("It boils [2].", context("It boils.")) is None


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer",
    [
        "The passage does not say.",
        "The text doesn't mention it.",
        "That cannot be answered from the passage.",
        "The passage gives no answer to that.",
        "I don't know.",
        "I’m unable to determine that.",
        "This isn't mentioned anywhere.",
        "There is not enough information.",
        "El pasaje no lo dice.",
        "Eso no se puede responder con el pasaje.",
        "El pasaje no da respuesta a eso.",
        "No lo sé.",
        "Le texte ne dit pas cela.",
        "Das steht nicht im Text.",
    ],
)
def test_refusals_are_recognised(answer: str) -> None:
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Paris is the capital of France.",
        "He was born in 1856. The passage does not say where.",
        "No.",
        "She did not provide food for the horses.",
        "No hay tres, sino cuatro estaciones.",
        "",
    ],
)
def test_answers_are_no_refusals(answer: str) -> None:
    assert not is_refusal(answer)


def test_wordings_that_the_examples_teach_count_too() -> None:
    assert is_refusal("Ask somebody else!", frozenset({"ask somebody else"}))


def test_precision_recall_and_over_refusal_are_means_over_different_rows() -> None:
    wants, answers = context("The passage does not say.", expects_refusal=True), context("Paris")
    refusal, answer = "The passage does not say.", "Paris"
    # (answer, row): correctness, precision, recall, over-refusal
    expected = [
        (refusal, wants, (1.0, 1.0, 1.0, None)),
        (answer, wants, (0.0, None, 0.0, None)),
        (refusal, answers, (0.0, 0.0, None, 1.0)),
        (answer, answers, (1.0, None, None, 0.0)),
    ]
    measures = (refusal_correctness, refusal_precision, refusal_recall, over_refusal)
    for said, row, values in expected:
        assert tuple(measure(said, row) for measure in measures) == values


# ── groundedness ──────────────────────────────────────────────────────────────────────────────────────

PASSAGE = "Nikola Tesla was born in Smiljan in 1856. His father was a priest; the house burned down."


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("Tesla was born in 1856.", 1.0),  # Tesla, born, 1856
        ("Tesla was born in 1857.", 2 / 3),  # the year is not there
        ("Edison was born in 1856.", 2 / 3),  # the name is not there; a sentence's first word counts as a word
        ("His father was a soldier.", 1 / 2),
        ("The house burned.", 1.0),
    ],
)
def test_support_counts_numbers_names_and_words(answer: str, share: float) -> None:
    assert supported_share(answer, PASSAGE, "en") == pytest.approx(share)


def test_numbers_are_compared_by_value() -> None:
    assert supported_share("It cost 1,000 euros.", "The price: 1000 euros, the cost of a year.", "en") == 1.0


def test_groundedness_leaves_out_refusals_rows_without_passage_and_empty_answers() -> None:
    row = context("1856", question="When was Tesla born?", passage=PASSAGE)
    assert groundedness("In 1856.", row) == 1.0
    assert groundedness("The passage does not say.", row) is None
    assert groundedness("Yes.", row) == 0.0
    assert groundedness("He is.", row) is None
    assert groundedness("In 1856.", context("1856")) is None
    assert groundedness("In 1856.", replace(row, expects_refusal=True)) is None


def test_stop_rate_is_whether_the_model_ended_by_itself() -> None:
    assert stop_rate("x", replace(context(), stopped=True)) == 1.0
    assert stop_rate("x", context()) == 0.0


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────────


def test_rates_are_means_over_the_rows_that_a_metric_speaks_of() -> None:
    rows = [
        context("It boils [1].", passage="[1] Water boils at 100 °C."),
        context('{"a": 1}'),
        context("The passage does not say.", expects_refusal=True),
    ]
    answers = ["It boils [1].", "no json", "Paris"]
    assert compute_citation_rate(answers, rows) == 1.0
    assert compute_json_validity_rate(answers, rows) == 0.0
    assert compute_refusal_correctness_rate(answers, rows) == pytest.approx(2 / 3)
    assert compute_retrieval_groundedness_rate(answers, rows) == 1.0
    assert compute_citation_rate(answers[1:], rows[1:]) is None
    with pytest.raises(ValueError, match="shorter"):
        compute_citation_rate(answers, rows[1:])


def test_perplexity_is_e_to_the_loss() -> None:
    assert compute_perplexity(0.0) == 1.0
    assert compute_perplexity(2.0) == pytest.approx(7.389056)
    for loss in (float("nan"), float("inf"), 701.0):
        with pytest.raises(ProofError, match="has no perplexity that a number can hold"):
            compute_perplexity(loss)
