"""The document checker: default changes nothing; every filter speaks; actions drop, redact, replace or warn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.text.words import Words
from loquela.data.validation.checker import DocumentChecker
from loquela.data.validation.language import LanguageIdentifier
from loquela.data.validation.verdict import Span, Verdict
from loquela.recipe.quality_rules import RULES
from loquela.recipe.validation_section import ValidationSection

ENGLISH = "The river had risen in the night, and with it the talk of the village that nobody wanted to hear."
SPANISH = "El río había crecido durante la noche, y con él las habladurías del pueblo que nadie quería oír."


def check(text: str, language: str | None = None, **section: object) -> Verdict:
    return DocumentChecker(ValidationSection.model_validate(section)).check(text, Words(text), language)


@pytest.mark.parametrize("text", ["", "x", ENGLISH, "a\u200bb \ufeff\x07 \n ana@example.com 4111111111111111"])
def test_by_default_nothing_is_dropped_or_changed(text: str) -> None:
    assert not ValidationSection().asks_anything
    assert check(text, "en") == Verdict("passed", text, 1.0, [], [], "en")


def test_every_rule_is_told_for_every_document() -> None:
    sets = ["basic", "gopher_quality", "gopher_repetition", "c4", "fineweb"]
    verdict = check("menu\nmenu\nmenu {", "en", rule_sets=sets)
    assert {signal.name for signal in verdict.signals} == set(RULES)
    assert verdict.status == "failed"
    assert verdict.reasons == [signal.name for signal in verdict.signals if not signal.passed]
    assert {"gopher_quality.words_min", "gopher_quality.stop_words", "c4.curly_brackets", "c4.sentences"} <= {
        *verdict.reasons
    }
    assert 0 <= verdict.score < 0.01


def test_low_quality_can_be_only_warned_of() -> None:
    verdict = check(ENGLISH, "en", rule_sets=["gopher_quality"], on_low_quality="warn")
    assert (verdict.status, verdict.reasons) == ("warning", ["gopher_quality.words_min"])
    assert verdict.score == pytest.approx(20 / 50)
    passed = check(ENGLISH, "en", rule_sets=["gopher_quality"], thresholds={"gopher_quality.words_min": 20})
    assert (passed.status, passed.score) == ("passed", 1.0)


def test_the_score_alone_decides_where_no_rule_set_is_named() -> None:
    assert check(ENGLISH, min_quality_score=0.9).status == "passed"
    failed = check("0101 0101 0101 0101", min_quality_score=0.9)
    assert (failed.status, failed.reasons) == ("failed", ["quality_score"])
    # Broken rules of `basic` lower the score; they are no reason of their own.
    tolerated = check("0101 abc abc abc", min_quality_score=0.5)
    assert any(not signal.passed for signal in tolerated.signals)
    assert tolerated.status == "passed"


@pytest.mark.parametrize(
    ("text", "status", "language"), [(ENGLISH, "passed", "en"), (SPANISH, "failed", "es"), ("1 2 3 !", "failed", None)]
)
def test_languages(text: str, status: str, language: str | None) -> None:
    verdict = check(text, "de", languages=["en"])
    assert (verdict.status, verdict.language) == (status, language)
    assert verdict.signals[0].name == "language"
    assert verdict.reasons == ([] if status == "passed" else ["language"])


def test_a_doubtful_language_is_not_taken_for_one() -> None:
    assert check(ENGLISH, languages=["en"], min_confidence=1.0, on_other_language="warn").status == "warning"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", ENGLISH * 300),
        ("es", SPANISH),
        ("fr", "La rivière était montée pendant la nuit, et avec elle les bavardages du village."),
        ("it", "Il fiume era cresciuto durante la notte, e con esso le chiacchiere del paese."),
        ("pt", "O rio tinha subido durante a noite, e com ele os mexericos da aldeia inteira."),
        ("ca", "El riu havia crescut durant la nit, i amb ell les xafarderies del poble."),
        ("de", "Der Fluss war in der Nacht gestiegen und mit ihm das Gerede des Dorfes."),
    ],
)
def test_languages_are_identified_offline(code: str, text: str) -> None:
    language, confidence = LanguageIdentifier().identify(text)
    assert language == code
    assert 0.5 < confidence <= 1


def test_patterns_drop_redact_and_warn() -> None:
    patterns = [
        {"name": "code", "pattern": r"X-\d+", "action": "redact"},
        {"name": "shout", "pattern": "(?i)casino", "action": "warn"},
        {"name": "never", "pattern": "forbidden", "action": "drop"},
    ]
    text = "Señal X-12, Casino, X-3."
    verdict = check(text, patterns=patterns)
    assert verdict.text == "Señal <code>, Casino, <code>."
    assert (verdict.status, verdict.reasons) == ("warning", ["pattern.shout"])
    assert verdict.spans == [Span("pattern.code", 6, 10), Span("pattern.code", 20, 23)]
    assert verdict.changes == {"pattern.code": len("<code>") * 2 - len("X-12X-3")}
    assert [(signal.name, signal.value) for signal in verdict.signals] == [
        ("pattern.code", 2), ("pattern.shout", 1), ("pattern.never", 0)
    ]  # fmt: skip
    assert check("forbidden casino", patterns=patterns).status == "failed"


def test_personal_data_becomes_pseudonyms() -> None:
    text = "Ana@example.com wrote to bob@example.com; ana@example.com answered."
    verdict = check(text, pii={"kinds": ["email", "iban"]})
    first, second = verdict.text.split(" ")[0], verdict.text.split(" ")[3].rstrip(";")
    assert verdict.text == f"{first} wrote to {second}; {first} answered."
    assert first != second
    assert verdict.status == "passed"
    assert verdict.changes == {"pii.email": len(verdict.text) - len(text)}
    assert [text[span.start : span.end] for span in verdict.spans] == [
        "Ana@example.com",
        "bob@example.com",
        "ana@example.com",
    ]
    later = check("to bob@example.com", pii={"kinds": ["email"]})
    assert later.text == f"to {second}"


@pytest.mark.parametrize(("action", "status"), [("drop", "failed"), ("warn", "warning")])
def test_personal_data_can_drop_or_warn(action: str, status: str) -> None:
    verdict = check("ana@example.com", pii={"kinds": ["email"], "action": action})
    assert (verdict.status, verdict.text, verdict.reasons) == (status, "ana@example.com", ["pii.email"])


def test_sanitising_is_counted_by_reason() -> None:
    text = "a\u200bb\x07c\ufeff d  \t\ne\u202ef\ud800 \u00adg"
    options = [
        "control_characters",
        "zero_width",
        "byte_order_marks",
        "surrogates",
        "direction_marks",
        "trailing_spaces",
    ]
    verdict = check(text, sanitize=dict.fromkeys(options, True))
    assert verdict.text == "abc d\nef g"
    assert verdict.changes == {
        "surrogates": -3,
        "control_characters": -1,
        "byte_order_marks": -3,
        "zero_width": -5,  # U+200B has three bytes, U+00AD two
        "direction_marks": -3,
        "trailing_spaces": -3,
    }
    assert check("क्\u200dष", sanitize=dict.fromkeys(options, True)).text == "क्\u200dष"  # a joiner that spells


def test_each_sanitiser_works_alone() -> None:
    assert check("a \x00\n", sanitize={"trailing_spaces": True}).text == "a \x00\n"
    assert check("a \x00\n", sanitize={"control_characters": True}).text == "a \n"


def test_an_unpaired_surrogate_fails_as_no_file_can_hold_it() -> None:
    verdict = check("a\ud800", rule_sets=["basic"], patterns=[{"name": "x", "pattern": "x"}])
    assert (verdict.status, verdict.reasons) == ("failed", ["unpaired_surrogate"])


def test_c4_lines_can_be_taken_out() -> None:
    text = "menu\nA sentence that stays.\n\nPlease enable JavaScript now."
    verdict = check(text, sanitize={"c4_lines": True})
    assert verdict.text == "A sentence that stays.\n"
    assert verdict.changes == {"c4_lines": len(verdict.text) - len(text)}
    nothing = check("menu\nhome", sanitize={"c4_lines": True})
    assert (nothing.status, nothing.reasons) == ("failed", ["nothing_left"])


def test_changes_add_up_to_the_bytes() -> None:
    text = "Año\u200b ana@example.com X-1\nmenu\nEste es el final de todo."
    verdict = check(
        text,
        sanitize={"zero_width": True, "c4_lines": True},
        pii={"kinds": ["email"]},
        patterns=[{"name": "final", "pattern": "final", "action": "redact"}],
    )
    assert len(verdict.text.encode()) == len(text.encode()) + sum(verdict.changes.values())


def test_what_drops_is_named_before_what_warns() -> None:
    verdict = check(SPANISH, languages=["en"], on_other_language="warn", rule_sets=["gopher_quality"])
    assert (verdict.status, verdict.reasons) == ("failed", ["gopher_quality.words_min", "language"])
    verdict = check(SPANISH, rule_sets=["gopher_quality"], patterns=[{"name": "x", "pattern": "con", "action": "warn"}])
    assert (verdict.status, verdict.reasons) == ("failed", ["gopher_quality.words_min", "pattern.x"])


EVERYTHING = DocumentChecker(
    ValidationSection.model_validate(
        {
            "rule_sets": ["basic", "gopher_quality", "gopher_repetition", "c4", "fineweb"],
            "languages": ["en"],
            "patterns": [
                {"name": "a", "pattern": "a+b", "action": "redact"},
                {"name": "n", "pattern": "ñ.", "action": "warn"},
            ],
            "pii": {"kinds": ["email", "phone", "ip", "secret"]},
            "sanitize": dict.fromkeys(
                ["control_characters", "zero_width", "surrogates", "trailing_spaces", "c4_lines"], True
            ),
        }
    )
)


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet="ab ñ@.1-\n\t\x00\u200b\ud800漢{#…", max_size=120) | st.text(max_size=60))
def test_any_text_gets_a_verdict_whose_bytes_add_up(text: str) -> None:
    verdict = EVERYTHING.check(text, Words(text), None)
    before, after = (len(t.encode("utf-8", "surrogatepass")) for t in (text, verdict.text))
    assert after == before + sum(verdict.changes.values())
    assert 0 <= verdict.score <= 1
    assert (verdict.status == "passed") == (not verdict.reasons)
    assert EVERYTHING.check(text, Words(text), None) == verdict
