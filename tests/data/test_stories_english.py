"""The English of the stories, form by form and then over many texts."""

from __future__ import annotations

import re

import pytest

from loquela.data.stories.english import FORMS, article, indefinite, introduction, tell_english, title_case
from loquela.data.stories.entities import Adjective, Entity, Event, Gender, Phrase, Plot
from loquela.data.stories.patterns import opens_sentence_english, read_pattern
from loquela.data.stories.story import stories

TEXTS = [one.english for one in stories(5, 1500)]
BODIES = [text.split("\n\n", 1)[1] for text in TEXTS]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("owl", "an"), ("red kite", "a"), ("honest boy", "an"), ("unicorn", "a"), ("umbrella", "an"), ("one", "a")],
)
def test_article_goes_by_sound(words: str, expected: str) -> None:
    assert article(words) == expected


def test_indefinite_phrases() -> None:
    red, old = Adjective("red", "rojo"), Adjective("old", "antiguo")
    assert indefinite(Entity("map", "mapa", "m", adjective=old)) == "an old map"
    assert indefinite(Entity("marbles", "canicas", "f", plural=True, adjective=red)) == "some red marbles"
    gloves = Entity("gloves", "guantes", "m", plural=True, counter=("a pair of", ""), adjective=red)
    assert indefinite(gloves) == "a pair of red gloves"


def test_introduction_and_pronouns() -> None:
    ana = Entity("girl", "niña", "f", name="Ana", adjective=Adjective("honest", "honrado"), person=True)
    assert introduction(ana) == "an honest girl named Ana"
    assert [FORMS[form](ana) for form in ("he", "his", "himself")] == ["she", "her", "herself"]


def _tell(*patterns: str, **entities: Entity) -> str:
    events = tuple(Event("x", Phrase(pattern, "")) for pattern in patterns)
    return tell_english(Plot("x", Event("title", Phrase("x", "")), (events,), entities))[1]


def _child(name: str, gender: Gender) -> Entity:
    return Entity("child", "", gender, name=name, person=True)


def test_a_known_subject_becomes_a_pronoun_at_most_twice() -> None:
    told = _tell("{hero*} ran.", "{hero} fell.", "{hero} laughed.", "{hero} slept.", hero=_child("Ana", "f"))
    assert told == "Ana ran. She fell. She laughed. Ana slept."


def test_pronouns_wait_while_someone_else_could_be_meant() -> None:
    ana, eva, leo = _child("Ana", "f"), _child("Eva", "f"), _child("Leo", "m")
    assert _tell("{hero*} saw {friend*}.", "{hero} ran.", hero=ana, friend=eva) == "Ana saw Eva. Ana ran."
    assert _tell("{hero*} saw {him friend}.", "{hero} ran.", hero=ana, friend=leo) == "Ana saw Leo. She ran."
    told = _tell("{hero*} saw {him friend} and called {him friend}.", hero=ana, friend=leo)
    assert told == "Ana saw Leo and called him."


def test_titles() -> None:
    assert title_case("the road to the old mill") == "The Road to the Old Mill"


def test_a_tag_after_a_question_opens_no_sentence() -> None:
    assert not opens_sentence_english('"Why?" ')
    assert opens_sentence_english('"Yes." ')
    assert opens_sentence_english('"')
    assert opens_sentence_english("It rained. ")
    assert not opens_sentence_english('"Yes," said ')


def test_patterns_are_read_in_order() -> None:
    pieces = read_pattern("{hero} saw {a thing}; {=home} {hero*}, {hero's}.", spanish=False)
    assert [(piece.form, piece.role) for piece in pieces if piece.form] == [
        ("subject", "hero"),
        ("a", "thing"),
        ("=", "home"),
        ("full", "hero"),
        ("'s", "hero"),
    ]
    assert "".join(piece.literal for piece in pieces) == " saw ;  , ."
    assert pieces[0].capital
    assert not pieces[2].capital


def test_a_and_an() -> None:
    silent_h = ("honest", "hour")
    for text in BODIES:
        assert not re.search(r"\ba [aeiou]", text), text
        for word in re.findall(r"\ban (\w+)", text):
            assert word[0] in "aeiou" or word.startswith(silent_h), text


def test_no_slot_is_left_and_spaces_are_single() -> None:
    for text in TEXTS:
        assert not re.search(r"[{}=*]|  | [,.;:!?]|\n ", text), text
        assert not re.search(r"\b(\w+) \1\b", text), text
        assert "\n\n\n" not in text


def test_quotes_are_balanced_in_every_paragraph() -> None:
    for text in BODIES:
        for paragraph in text.split("\n"):
            assert paragraph.count('"') % 2 == 0, paragraph


def test_sentences_begin_with_a_capital_and_end_with_a_mark() -> None:
    for text in BODIES:
        for paragraph in text.split("\n"):
            assert paragraph.rstrip('"')[-1] in ".!?", paragraph
            assert paragraph.lstrip('"')[0].isupper(), paragraph
            assert not re.search(r'\. "?[a-z]', paragraph), paragraph


def test_plural_things_take_plural_words() -> None:
    plurals = "keys|glasses|boots|gloves|shoes|marbles|skates|paintbrushes|earrings|scissors|nails|oars"
    for text in BODIES:
        assert not re.search(rf"\b(this|that) ({plurals})\b", text), text
        assert not re.search(rf"\bthe ({plurals}) (was|is|has)\b", text), text
