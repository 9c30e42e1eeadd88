"""One pass over a text gives its lines and words, in every script."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.text.words import Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t ", []),
        ("The cat, the DOG.", ["The", "cat", "the", "DOG"]),
        ("Don't stop—the well-known 3.14!", ["Don't", "stop", "the", "well", "known", "3", "14"]),
        ("«¿Qué pasó, señor?», dijo él.", ["Qué", "pasó", "señor", "dijo", "él"]),
        ("l’avenir d'aujourd'hui", ["l’avenir", "d'aujourd'hui"]),
        ("nin\u0303o and cafe\u0301", ["nin\u0303o", "and", "cafe\u0301"]),  # decomposed: marks belong to the word
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("我爱你 ok", ["我", "爱", "你", "ok"]),
        ("東京タワーへ go2", ["東", "京", "タ", "ワ", "ー", "へ", "go2"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("สวัสดี", list("สวัสดี")),
        ("Привет, мир", ["Привет", "мир"]),
        ("-dash- 'quoted' snake_case", ["dash", "quoted", "snake_case"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert Words(text).words == words


def test_lower_words_are_the_words_in_lower_case() -> None:
    assert Words("ÁRBOL Ñandú İstanbul ΟΔΟΣ ΣΑΣ x").lower_words == ["árbol", "ñandú", "i̇stanbul", "οδος", "σας", "x"]
    assert Words("...").lower_words == []


def test_lines_join_to_the_text() -> None:
    assert Words("a\n\nb\n").lines == ["a", "", "b", ""]


def test_each_part_is_computed_once() -> None:
    words = Words("one two")
    assert words.words is words.words
    assert words.lower_words is words.lower_words
    assert words.lines is words.lines


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_no_letter_or_digit_is_lost(text: str) -> None:
    words = Words(text)
    kept = "".join(words.words)
    assert [sign for sign in kept if sign.isalnum()] == [sign for sign in text if sign.isalnum()]
    assert words.lower_words == [word.lower() for word in words.words]
    assert "\n".join(words.lines) == text
