"""Prohibited patterns: RE2 and Hyperscan agree, nothing hangs, and what cannot be searched for is refused by name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.data.validation import patterns as patterns_module
from loquela.data.validation.patterns import PatternSet
from loquela.recipe.validation_section import ProhibitedPattern


def pattern_set(*texts: str) -> PatternSet:
    return PatternSet([ProhibitedPattern(name=f"p{at}", pattern=text) for at, text in enumerate(texts)])


def test_which_patterns_match_and_where() -> None:
    found = pattern_set(r"\d{3}-\d{2}", "(?i)CASINO", "absent", r"[a-z]+@[a-z.]+\.[a-z]{2,}")
    data = "Señor, casino 078-05 y ana@b.example.com, Casino".encode()
    assert found.matching(data) == [0, 1, 3]
    assert [data[start:end] for start, end in found.spans(1, data)] == [b"casino", b"Casino"]
    assert [data[start:end] for start, end in found.spans(3, data)] == [b"ana@b.example.com"]
    assert found.matching(b"") == []
    assert pattern_set().matching(data) == []


def test_letters_beyond_ascii_match_in_any_case() -> None:
    assert pattern_set("(?i)ñandú").matching("EL ÑANDÚ".encode()) == [0]
    assert pattern_set(r"(?:^|[^\pL])ñandú(?:$|[^\pL])").matching("el ñandú.".encode()) == [0]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "invalid escape sequence"),
        (r"(?=secret)", "invalid perl operator"),
        (r"(unclosed", "missing"),
        (r"x*", "it matches the empty text"),
        (r"(a{1,1000}){1,1000}", "invalid repetition size"),
        (r"\bñandú\b", r"\\b finds no edge beside a letter"),
        (r"\b(?:vela|águila)\b", r"\\b finds no edge beside a letter"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"p0 \({re.escape(pattern)}\) cannot be searched for: .*(?:{reason})"
    ) as caught:
        pattern_set(pattern)
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert caught.value.details["pattern"] == "p0"


@pytest.mark.parametrize("pattern", [r"(x+x+)+y", r"(a|aa)+$", r"(\w+\s?)*;", r"(a.*){20}b", r".{1,900}b"])
def test_patterns_that_hang_a_backtracking_engine_do_not(pattern: str) -> None:
    assert pattern_set(pattern).matching(b"x" * 50_000 + b"aaaa" * 5_000 + b"!") in ([], [0])


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab 1-@.ñ\n", max_size=60))
def test_the_sieve_loses_nothing(text: str) -> None:
    shapes = (r"a+b", r"\d-\d", r"b@a\.", r"ñ.a", r"(?m)^ab$", r"a\s+1", r"\ba1\b", r"1$")
    found = pattern_set(*shapes)
    assert found._sieve is not None
    data = text.encode()
    alone = [index for index in range(len(shapes)) if found._expressions[index].search(data)]
    assert found.matching(data) == alone


def test_without_hyperscan_re2_serves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns_module.importlib.util, "find_spec", lambda name: None)
    found = pattern_set("abc", "xyz")
    assert found._sieve is None
    assert found.matching(b"..xyz..") == [1]


def test_without_re2_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    with pytest.raises(ResourceError, match="searching for prohibited patterns needs the package re2") as caught:
        pattern_set("abc")
    assert caught.value.remedy == 'pip install "loquela[data]"'
